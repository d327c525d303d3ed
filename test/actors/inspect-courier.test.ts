/** What the arbiter's main thread gives to the inspector's: whole, in order, and no more than that one takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, HEADER_BYTES } from '../../src/actors/frame.ts';
import { Courier, UNDERWAY_BYTES_MAX } from '../../src/actors/inspect/thread/courier.ts';
import { isSealedReport, unsealed } from '../../src/actors/inspect/thread/seal.ts';
import { type Letter, SHARED, SHARED_BYTES, type ToThread } from '../../src/actors/inspect/thread/words.ts';
import type { InspectReport } from '../../src/machines/events/inspect.ts';

const CHILD = { pid: 7, process: 'web', age: 1, slot: 0, generation: 1 } as const;

const report = (records: number, text: string): InspectReport => ({
  type: 'inspect.batch',
  pid: 0,
  records: Array<string>(records).fill(JSON.stringify({ t: 'event', text })),
  dropped: 2,
});
const sealed = (event: { type: string }): Buffer => encodeFrame(event).subarray(HEADER_BYTES);

function courierHere() {
  const counters = new Int32Array(new SharedArrayBuffer(SHARED_BYTES));
  // Near the end of what it counts to.
  Atomics.store(counters, SHARED.received, 2 ** 31 - 1000);
  const parcels: (ToThread & { type: 'parcel' })[] = [];
  const again: number[] = [];
  const courier = new Courier({
    epoch: 1,
    counters,
    post(message) {
      assert.equal(message.type, 'parcel');
      if (message.type === 'parcel') parcels.push(message);
    },
    again: (pid) => again.push(pid),
  });
  /** As the other thread: takes what was sent. */
  const receive = (): Letter[] => {
    const taken = parcels.splice(0);
    for (const { weight } of taken) Atomics.add(counters, SHARED.received, weight);
    return taken.flatMap(({ letters }) => letters);
  };
  return { courier, parcels, again, receive };
}

test('a report is known by its first bytes, and nothing else is', () => {
  assert.ok(isSealedReport(sealed(report(3, 'a'))));
  assert.ok(isSealedReport(sealed({ ...report(0, ''), alive: [1, 2] } as InspectReport)));
  assert.ok(!isSealedReport(sealed({ type: 'worker.heartbeat' })));
  assert.ok(!isSealedReport(sealed({ type: 'inspect.batch' })), 'it has nothing but its type');
  assert.ok(!isSealedReport(Buffer.alloc(0)));
  assert.ok(!isSealedReport(Buffer.from([0xde, 0, 1])));
});

test('what is read of it is what was written, and what is none is told', () => {
  assert.deepEqual(unsealed(sealed(report(3, 'ä'))), report(3, 'ä'));
  assert.match(
    String(unsealed(sealed({ ...report(1, ''), dropped: -1 } as InspectReport))),
    /^inspect\.batch: dropped /,
  );
  assert.match(String(unsealed(sealed(report(3, 'a')).subarray(0, 40))), /^inspect\.batch: /);
});

test('what happens is carried in its order, with frames as they came', (t) => {
  const { courier, parcels, receive } = courierHere();
  t.after(() => courier.stop());
  const [first, second] = [sealed(report(1, 'first')), sealed(report(2, 'second'))];
  courier.frame(CHILD, first);
  courier.log(5, 'info', 'a line');
  courier.frame(CHILD, second);
  courier.tell({ t: 'ended', at: 6, pid: 7 });
  courier.flush();
  const { bytes } = parcels[0]!;
  assert.deepEqual(receive(), [
    { frame: first.length, pid: 7, process: 'web' },
    { log: 'a line', level: 'info', at: 5 },
    { frame: second.length, pid: 7, process: 'web' },
    { record: '{"t":"ended","at":6,"pid":7}' },
  ]);
  assert.deepEqual(Buffer.from(bytes), Buffer.concat([first, second]));
});

test('a thread that takes nothing is sent no more than a bound; the rest is counted, and asked for once more', (t) => {
  const { courier, parcels, again, receive } = courierHere();
  t.after(() => courier.stop());
  const body = sealed(report(100, 'x'.repeat(400)));
  const most = Math.ceil(UNDERWAY_BYTES_MAX / body.length);
  const [frames, more] = [2 * most, 10];
  for (let n = 0; n < frames; n++) courier.frame(CHILD, body);
  for (let n = 0; n < more; n++) {
    courier.log(1, 'info', 'x'.repeat(64 * 1024));
    courier.tell({ t: 'process', at: 1, ...CHILD });
  }
  courier.flush();
  const underway = parcels.reduce((sum, { weight }) => sum + weight, 0);
  assert.ok(underway <= UNDERWAY_BYTES_MAX + 1024 * more, `${underway} bytes are on their way`);
  const sent = receive();
  const carried = sent.filter((one) => 'frame' in one).length;
  assert.ok(carried > most / 2 && carried < frames, `${carried} of ${frames} frames`);
  assert.equal(sent.filter((one) => 'record' in one).length, more, 'lives of processes are never lost');
  // There is room again, and what was lost is told.
  courier.flush();
  const all = [...sent, ...receive()];
  const lostBy = (pid: number): number =>
    all.reduce((sum, one) => ('lost' in one && one.pid === pid ? sum + one.lost : sum), 0);
  assert.equal(lostBy(7), (frames - carried) * 102);
  assert.equal(lostBy(process.pid), more - all.filter((one) => 'log' in one).length);
  assert.ok(again.includes(7));
  courier.frame(CHILD, body);
  courier.flush();
  assert.equal(receive().filter((one) => 'frame' in one).length, 1);
});
