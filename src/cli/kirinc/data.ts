/** Reading replies that may lack anything: an older server, or one that is not Kirin, sends fewer fields. Pure. */

export type Data = Record<string, unknown>;

export const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The objects of a list; nothing for what is none. */
export const dataList = (value: unknown): Data[] => (Array.isArray(value) ? value.filter(isData) : []);

export const dataOf = (value: unknown): Data => (isData(value) ? value : {});

export const textList = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

/** The state of a web worker as people read it: one that is ready may be paused, full, or resting. */
export const stateOf = ({ state, booted, paused, full, resting }: Data): unknown => {
  if (paused === true && state === 'ready') return 'paused';
  if (full === true && state === 'ready') return 'full';
  if (resting === true && state === 'ready') return 'resting';
  return state ?? (booted === true ? 'booted' : undefined);
};
