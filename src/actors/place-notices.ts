/** What is said at a start about the place that a server finds itself in. Runs in the arbiter. */
import { ACTIVATED, originOf, type Settings } from '../settings.ts';
import { activationOf, activationText } from './activation.ts';
import type { Log } from './log.ts';
import { isPidOne, PID_ONE_NOTICE } from './pid-one.ts';

export function tellPlace(settings: Settings, log: Log): void {
  if (isPidOne()) log.warn(PID_ONE_NOTICE);
  const activation = activationOf(process.env);
  if (!activation) return;
  log.info(activationText(activation));
  const [, passedOver] = originOf(settings, 'bind').split(`${ACTIVATED}, not `);
  if (passedOver !== undefined)
    log.warn(`${passedOver} is not used: the sockets that were given open (${ACTIVATED}) are`);
}
