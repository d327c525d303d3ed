/** One connection of a control socket, with real bytes and without its session machine: limits, bugs, and its end. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Call } from '../../src/actors/control/call.ts';
import {
  Connection,
  type ConnectionDeps,
  type ConnectionLimits,
} from '../../src/actors/control/connection.ts';
import type { Request } from '../../src/actors/control/request.ts';
import { ControlClient } from '../system/control-client.ts';
import { temporaryDirectory, until } from './support.ts';

const LIMITS: ConnectionLimits = {
  requestBytesMax: 10_000,
  replyBytesMax: 100_000,
  queue: 3,
  idleMs: 0,
};

interface Served {
  client: ControlClient;
  connection: Connection;
  socket: Socket;
  reports: string[];
  bugs: unknown[];
  /** Calls that wait for their answer. */
  calls: Call[];
}

/** Answers as the commands do: `echo TEXT` at once, `long TEXT` with as many signs, `wait` never, `bug` throws. */
function execute(calls: Call[], { command, args }: Request, call: Call): void {
  const [verb, text = ''] = [...command.split(' '), ...args];
  if (verb === 'echo') return call.reply({ text });
  if (verb === 'unprintable') return call.reply({ text: 1n });
  if (verb === 'long') return call.reply({ text: 'x'.repeat(Number(text)) });
  if (verb === 'cancel') return call.reply({ cancelled: call.cancel(text) });
  if (verb === 'bug') throw new Error('a bug');
  calls.push(call);
  call.begin(true);
}

async function serve(
  t: TestContext,
  limits: Partial<ConnectionLimits> = {},
  deps: Partial<ConnectionDeps> = {},
): Promise<Served> {
  const path = join(temporaryDirectory(t), 's');
  const calls: Call[] = [];
  const reports: string[] = [];
  const bugs: unknown[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = await ControlClient.connect(path);
  const socket = await accepted;
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  const connection = new Connection(socket, {
    limits: { ...LIMITS, ...limits },
    readonly: false,
    execute: (request, call) => execute(calls, request, call),
    bug: (error) => bugs.push(error),
    ...deps,
  });
  connection.open(({ type }) => {
    reports.push(type);
    // As the session machine does.
    if (['connection.violated', 'connection.idled'].includes(type))
      connection.obey({ type: 'connection.close' });
  });
  return { client, connection, socket, reports, bugs, calls };
}

test('a bug in a command is told to the client and to the log, and the next command is answered', async (t) => {
  const { client, bugs } = await serve(t);
  assert.match((await client.ask('bug')).error!, /^Internal error/);
  assert.equal((bugs[0] as Error).message, 'a bug');
  assert.deepEqual((await client.ask('echo x')).data, { text: 'x' });
});

test('an answer that cannot be written is a bug that is told, and the connection goes on', async (t) => {
  const { client, bugs } = await serve(t);
  assert.match((await client.ask('unprintable')).error!, /^Internal error/);
  assert.ok(bugs.length > 0);
  assert.equal((await client.ask('echo x')).status, 'ok');
});

test('a bug in obeying ends this connection and throws nothing', async (t) => {
  const { client, connection, calls, bugs } = await serve(t);
  client.request({ id: 1, command: 'wait' });
  await until('it waits', () => calls[0]);
  calls[0]!.onOver = () => {
    throw new TypeError('no such call');
  };
  connection.obey({ type: 'request.expire', ticket: calls[0]!.ticket });
  await client.end();
  assert.equal(bugs.length, 1);
});

test('as many may wait as the queue allows; what is answered at once does not count', async (t) => {
  const { client, calls, reports } = await serve(t);
  for (const id of [1, 2, 3]) client.request({ id, command: 'wait' });
  assert.deepEqual((await client.ask('echo x')).data, { text: 'x' });
  assert.deepEqual((await client.ask('cancel 2')).data, { cancelled: true });
  assert.equal((await client.answer(2)).error, 'Cancelled');
  client.request({ id: 4, command: 'wait' });
  assert.deepEqual((await client.ask('cancel 2')).data, { cancelled: false });
  assert.equal(reports.filter((type) => type === 'request.began').length, 4);
  client.request({ id: 5, command: 'wait' });
  await client.end();
  assert.match((await client.answer(5)).error!, /^Too many unanswered commands: the most allowed is 3 /);
  for (const id of [1, 3, 4]) assert.equal((await client.answer(id)).error, 'The connection is being closed');
  assert.equal(client.frames.length, 8);
  // The fifth never began.
  assert.equal(reports.filter((type) => type === 'request.began').length, 4);
  assert.equal(reports.filter((type) => type === 'request.ended').length, 4);
  assert.equal(calls.length, 5);
});

test('a request that was refused by the queue is over: its answer goes nowhere', async (t) => {
  const { client, calls } = await serve(t, { queue: 1 });
  client.request({ id: 1, command: 'wait' }).request({ id: 2, command: 'wait' });
  await client.end();
  for (const call of calls) call.reply({ late: true });
  assert.deepEqual(
    client.frames.map(({ id, status }) => [id, status]),
    [
      [2, 'error'],
      [1, 'error'],
    ],
  );
});

test('progress larger than a reply may be is left out; the final answer comes all the same', async (t) => {
  const { client, calls } = await serve(t, { replyBytesMax: 1000 });
  const answer = client.ask('wait', { stream: true });
  await until('it waits', () => calls[0]);
  assert.equal(calls[0]!.progress({ step: 1 }), true);
  assert.equal(calls[0]!.progress({ step: 'x'.repeat(1000) }), false);
  assert.equal(calls[0]!.progress({ step: 3 }), true);
  calls[0]!.reply({ done: true });
  assert.equal(calls[0]!.progress({ step: 4 }), true);
  const { progress, data } = await answer;
  assert.deepEqual([progress, data], [[{ step: 1 }, { step: 3 }], { done: true }]);
});

test('a final answer that is too large is told to be, with its id, and the connection goes on', async (t) => {
  const { client } = await serve(t);
  const overhead = JSON.stringify({ id: 'ask-1', status: 'ok', data: { text: '' } }).length;
  assert.equal((await client.ask(`long ${100_000 - overhead}`)).status, 'ok');
  const { error } = await client.ask(`long ${100_001 - overhead}`);
  assert.equal(error, 'The reply of 100001 bytes is larger than allowed (--control-reply-max 100000)');
  assert.equal((await client.ask('echo x')).status, 'ok');
});

test('a client that begins a frame and does not end it is told and closed, whatever it trickles', async (t) => {
  const { client } = await serve(t, { stallMs: 100 });
  const trickle = setInterval(() => client.send(Buffer.from('x')), 10);
  t.after(() => clearInterval(trickle));
  client.send(Buffer.from([0, 0, 1, 0]));
  await client.end();
  assert.equal(client.frames.at(-1)!.error, 'Incomplete message: its rest did not come within 0.1 s');
});

test('a client that leaves its answers unread is not read from any more, and given up in the end', async (t) => {
  const { client, socket, reports } = await serve(t, { stallMs: 100, replyBytesMax: 1_000_000 });
  client.pause();
  for (let id = 0; id < 1000; id++) client.request({ id, command: 'long 100000' });
  await until('it is given up', () => reports.includes('connection.violated'));
  // The limit, and one answer more.
  assert.ok(socket.writableLength < 2 * 1024 * 1024, `${socket.writableLength} bytes wait`);
});

test('a client that reads late gets everything', async (t) => {
  const { client, socket, reports } = await serve(t);
  client.pause();
  for (let id = 1; id <= 200; id++) client.request({ id, command: 'long 90000' });
  await until('the limit is reached', () => socket.isPaused() && socket.writableLength > 1024 * 1024);
  client.resume();
  await client.answer(200);
  assert.deepEqual(
    client.frames.map(({ id }) => id),
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
  assert.equal((await client.ask('echo x')).status, 'ok');
  assert.deepEqual(reports, []);
});

test('one that sends no more is waited for while it is there to read', async (t) => {
  const { client, reports, calls } = await serve(t);
  client.request({ id: 1, command: 'wait' }).finish();
  await until('it has finished', () => reports.includes('connection.finished'));
  calls[0]!.reply({ late: true });
  assert.deepEqual((await client.answer(1)).data, { late: true });
});

test('one that has left altogether is noticed though nothing is to be told to it', async (t) => {
  const { client, reports, calls } = await serve(t);
  client.request({ id: 1, command: 'wait', stream: true });
  await until('it waits', () => calls[0]);
  let over = false;
  calls[0]!.onOver = () => {
    over = true;
  };
  client.destroy();
  await until('the connection is closed', () => reports.includes('connection.closed'));
  assert.equal(over, true);
});

test('a silent connection is told and closed, but not while it waits for an answer', async (t) => {
  const idleMs = 50;
  const { client, reports, calls } = await serve(t, { idleMs });
  const answer = client.ask('wait');
  await until('it waits', () => calls[0]);
  // A timer of the same length that was set later has gone off: so has the connection's.
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  assert.ok(!reports.includes('connection.idled'));
  calls[0]!.reply({});
  await answer;
  await client.end();
  assert.match(client.frames.at(-1)!.error!, /^Idle for 0\.05 s/);
  assert.equal(client.frames.at(-1)!.id, null);
});

test('what comes after its session is gone is not answered', async (t) => {
  const { client, connection, socket, reports } = await serve(t);
  await client.ask('echo x');
  connection.forget();
  client.request({ id: 1, command: 'echo y' }).finish();
  await new Promise((resolve) => socket.once('end', resolve));
  assert.equal(client.frames.length, 1);
  assert.deepEqual(reports, []);
});
