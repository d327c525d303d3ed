/** A test of types, run by the compiler: a wrong event does not compile, on either end of a link. */

import type { ArbiterOrder } from '../../src/machines/events/arbiter.ts';
import type { Down, Up } from '../../src/machines/events/link.ts';

const down = <K extends 'web'>(_kind: K, _event: Down<K>): void => {};
const up = <K extends 'web'>(_kind: K, _event: Up<K>): void => {};

down('web', { type: 'worker.drain', orderId: 1, graceMs: 1000 });
up('web', { type: 'worker.ready' });

// @ts-expect-error a report does not go down
down('web', { type: 'worker.ready' });
// @ts-expect-error an order does not go up
up('web', { type: 'worker.drain', orderId: 1, graceMs: 1000 });
// @ts-expect-error an order needs an id
down('web', { type: 'worker.drain', graceMs: 1000 });
// @ts-expect-error a fault has a code of the catalogue
up('web', { type: 'worker.bootFailed', fault: { code: 'no.such', message: '' } });
// @ts-expect-error no such event
down('web', { type: 'worker.dance' });
// @ts-expect-error no such kind of process
export type Nobody = Down<'nobody'>;

// @ts-expect-error an order to the arbiter names who asked
export const order: ArbiterOrder = { type: 'arbiter.reload' };
