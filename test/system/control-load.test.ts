/**
 * Nothing a client of the control socket does holds up another, or a request over HTTP: not what it floods, not what
 * it leaves unread, not how slowly it writes. No times are compared: whoever is held up misses its deadline.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlClient, framed, requestFrame } from './control-client.ts';
import { type Controlled, controlled } from './controlled.ts';

const MEGABYTE = 1024 * 1024;
const UNREAD_MAX = 64 * MEGABYTE;

/** Others are answered, as often as it takes to be sure. */
async function othersAreAnswered({ site, server, client }: Controlled): Promise<void> {
  for (let round = 0; round < 5; round++) {
    assert.equal((await client.ask('show workers wide')).data.count, 1);
    assert.equal((await ControlClient.once(site.path('kirin.ctl'), 'help')).status, 'ok');
    assert.equal((await server.get()).status, 200);
  }
}

async function rssOf({ client }: Controlled): Promise<number> {
  return (await client.ask('show stats')).data.rss_bytes;
}

/** Writes the same again and again, as fast as it is taken, until `stop` is called. */
function flood(client: ControlClient, bytes: Buffer): { stop(): void; written(): number } {
  let going = true;
  let count = 0;
  const write = (): void => {
    if (!going || client.closed) return;
    client.socket.write(bytes, () => {
      count++;
      setImmediate(write);
    });
  };
  write();
  const stop = (): void => {
    going = false;
  };
  return { stop, written: () => count };
}

describe('nobody is held up', { concurrency: 2 }, () => {
  const filled = (body: string): Buffer => framed(body + ' '.repeat(MEGABYTE - body.length));
  for (const [name, bytes] of [
    ['a megabyte of what is not JSON', filled('x')],
    ['a megabyte of lists within lists', framed('['.repeat(MEGABYTE))],
    ['a megabyte of what is not UTF-8', framed(Buffer.alloc(MEGABYTE, 0xff))],
    ['a megabyte of a command', framed(JSON.stringify({ id: 1, command: 'x'.repeat(MEGABYTE - 100) }))],
    ['a megabyte of words', framed(`{"args":[${'"",'.repeat(300_000)}""]}`)],
    ['a thousand commands at once', Buffer.concat(Array(1000).fill(requestFrame({ command: 'show all' })))],
    ['frames of nothing', Buffer.alloc(64 * 1024)],
  ] as const)
    test(`while clients flood with ${name}`, async (t) => {
      const served = await controlled(t, ['-w', '1']);
      const floods = await Promise.all(
        [1, 2, 3].map(async () => {
          const client = await ControlClient.connect(served.site.path('kirin.ctl'));
          t.after(() => client.destroy());
          return { client, ...flood(client, bytes) };
        }),
      );
      await othersAreAnswered(served);
      for (const one of floods) await served.server.until('some of it was taken', () => one.written() > 2);
      await othersAreAnswered(served);
      for (const { client, stop } of floods) {
        stop();
        assert.equal(client.closed, false);
        client.destroy();
      }
      await othersAreAnswered(served);
    });

  test('while a client pipelines 5,000 commands and leaves the answers unread; then it reads them all', async (t) => {
    const served = await controlled(t, ['-w', '1']);
    const slow = await ControlClient.connect(served.site.path('kirin.ctl'));
    t.after(() => slow.destroy());
    const before = await rssOf(served);
    slow.pause();
    const commands = 5000;
    for (let id = 0; id < commands; id++) slow.request({ id, command: 'show config origin' });
    await othersAreAnswered(served);
    const grown = (await rssOf(served)) - before;
    assert.ok(grown < UNREAD_MAX, `the arbiter grew by ${grown} bytes`);
    assert.equal(slow.frames.length, 0);
    slow.resume();
    await slow.answer(commands - 1);
    assert.ok(slow.frames.every(({ id, status }, index) => id === index && status === 'ok'));
    assert.equal((await slow.ask('help')).status, 'ok');
  });

  test('while a client writes slowly, and others stop in the middle of a request', async (t) => {
    const served = await controlled(t, ['-w', '1']);
    const bytes = requestFrame({ id: 1, command: 'show all', more: 'x'.repeat(2000) });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => ControlClient.connect(served.site.path('kirin.ctl'))),
    );
    t.after(() => {
      for (const one of clients) one.destroy();
    });
    for (const [index, one] of clients.entries()) one.send(bytes.subarray(0, index + 1));
    const [slow] = clients;
    const written = slow!.trickle(bytes.subarray(1));
    await othersAreAnswered(served);
    await written;
    assert.equal((await slow!.answer(1)).status, 'ok');
    for (const [index, one] of clients.slice(1).entries()) one.send(bytes.subarray(index + 2));
    for (const one of clients) assert.equal((await one.answer(1)).status, 'ok');
  });

  test('while a client follows the events and does not read: it loses some, and is told how many', async (t) => {
    const served = await controlled(t, ['-w', '1']);
    const { client, site } = served;
    const following = await ControlClient.connect(site.path('kirin.ctl'));
    t.after(() => following.destroy());
    const events = following.ask('events', { id: 'e', stream: true });
    await following.ask('help');
    following.pause();
    const before = await rssOf(served);
    // Each is an event; their texts must fill what the kernel keeps for a reader, and what the server keeps.
    const orders = 6000;
    for (let id = 0; id < orders; id++) client.request({ id, command: 'reopen' });
    await client.answer(orders - 1);
    await othersAreAnswered(served);
    const grown = (await rssOf(served)) - before;
    assert.ok(grown < UNREAD_MAX, `the arbiter grew by ${grown} bytes`);
    following.resume();
    await client.ask('reopen');
    // Room for it is there once the former ones are read.
    await served.server.until('it is told how many it lost', async () => {
      await client.ask('reopen');
      return following.frames.some(({ data }) => data?.dropped > 0);
    });
    await following.ask('cancel e');
    const { progress } = await events;
    let seq = progress[0].event.seq;
    for (const { event, dropped } of progress) {
      if (event) assert.equal(event.seq, seq++);
      else seq += dropped;
    }
    assert.ok(seq > orders);
  });

  test('when the server stops it waits for none of them, and all see the end', async (t) => {
    const served = await controlled(t, ['-w', '1']);
    const { client, site, server } = served;
    const connect = async (): Promise<ControlClient> => {
      const one = await ControlClient.connect(site.path('kirin.ctl'));
      t.after(() => one.destroy());
      return one;
    };
    const [silent, slow, halting, following, finished, flooding] = await Promise.all(
      Array.from({ length: 6 }, connect),
    );
    slow!.pause();
    for (let id = 0; id < 2000; id++) slow!.request({ id, command: 'show config origin' });
    halting!.send(requestFrame({ id: 1, command: 'help' }).subarray(0, 10));
    following!.request({ id: 'e', command: 'events', stream: true });
    finished!.request({ id: 'e', command: 'events', stream: true }).finish();
    flood(flooding!, framed('x'.repeat(1000)));
    await othersAreAnswered(served);
    const last = client.ask('shutdown --wait');
    assert.equal((await last).data.success, true);
    assert.deepEqual(await server.exit(), { code: 0, signal: null });
    for (const one of [client, silent, halting, following, finished]) {
      await one!.end();
      assert.equal(one!.error, undefined);
    }
    assert.equal(following!.frames.at(-1)!.data.event.text, 'stopped');
    slow!.resume();
    for (const one of [slow, flooding]) await one!.end();
  });
});
