/** Records in words: what happened, and between whom. Pure; runs in the browser. */
import type { Told } from '../../actors/inspect/records.ts';
import type { Cast } from './cast.ts';
import { eventTitle, eventType, stateText } from './states.ts';
import type { Ends } from './timeline.ts';
import { detailOf } from './trouble.ts';

/** A record, and between whom it is drawn. */
export interface Drawn {
  record: Told;
  ends?: Ends | undefined;
}

export function tellOf({ record, ends }: Drawn, cast: Cast): { what: string; who: string } {
  const name = (id: string) => `${cast.role(id).process}/${cast.role(id).name}`;
  switch (record.t) {
    case 'event':
      return {
        what: `${eventTitle(eventType(record.event))} ${detailOf(record)}`.trimEnd(),
        who: ends ? `${ends.from === null ? 'outside' : name(ends.from)} → ${name(ends.to)}` : '',
      };
    case 'step':
      return {
        what:
          record.took.length === 0
            ? `ignored ${eventTitle(eventType(record.event))}`
            : `⇒ ${stateText(record.value)}`,
        who: name(record.id),
      };
    case 'process':
      return { what: `${cast.process(record.pid)} appears`, who: `pid ${record.pid}` };
    case 'ended':
      return { what: `${cast.process(record.pid)} is gone`, who: `pid ${record.pid}` };
    case 'log':
      return { what: record.text, who: record.level };
    case 'lost':
      return { what: `${record.records} records lost`, who: cast.process(record.pid) };
    default:
      return { what: record.t, who: '' };
  }
}
