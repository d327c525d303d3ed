/** Which text a reply has: the documented ones have one of their own, every other one is JSON. Pure. */
import { type Data, isData } from './data.ts';
import {
  callsText,
  eventsText,
  generationsText,
  machinesText,
  originText,
  versionText,
  wideDirtyText,
  wideWorkersText,
} from './format-own.ts';
import {
  allText,
  configText,
  dirtyText,
  helpText,
  listenersText,
  statsText,
  workersText,
} from './format-stock.ts';
import { json } from './text.ts';

const TEXTS: Record<string, (data: Data) => string[]> = {
  'show all': allText,
  'show workers': workersText,
  'show workers wide': wideWorkersText,
  'show dirty': dirtyText,
  'show dirty wide': wideDirtyText,
  'show calls': callsText,
  'show config': configText,
  'show config origin': originText,
  'show stats': statsText,
  'show listeners': listenersText,
  'show generations': generationsText,
  'show machine': machinesText,
  'show events': eventsText,
  'show version': versionText,
  help: helpText,
};

/** The text of a reply to a command's full words, without the last line's end. */
export function replyText(words: readonly string[], data: unknown): string {
  const text = TEXTS[words.slice(0, 3).join(' ').toLowerCase()] ?? textOfFirst(words);
  if (text && isData(data)) return text(data).join('\n');
  return json(data, 2);
}

/** `show machine ID` and `show events N` have an argument that is no part of their name. */
function textOfFirst(words: readonly string[]) {
  const name = words.slice(0, 2).join(' ').toLowerCase();
  return name === 'show machine' || name === 'show events' ? TEXTS[name] : undefined;
}
