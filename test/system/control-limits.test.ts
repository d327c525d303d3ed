/** The limits of the control socket, each violated against a real server: what is told, who is cut, and who is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlClient, requestFrame } from './control-client.ts';
import { controlled } from './controlled.ts';
import { fixture, type Server, Site } from './harness.ts';

const refusals = (client: ControlClient) => client.frames.map(({ id, error }) => [id, error]);

/** Waits until the server has forgotten all connections but the client's own. */
const alone = (server: Server, client: ControlClient): Promise<boolean> =>
  server.until('only one session is left', async () => {
    const { data } = await client.ask('show machine');
    return (
      data.machines.filter(({ machine }: { machine: string }) => machine === 'controlSession').length === 1
    );
  });

describe('limits of the control socket', { concurrency: 3 }, () => {
  test('a connection that says nothing is told and closed, but not while it waits for an answer', async (t) => {
    const { client, site, server } = await controlled(t, ['-w', '1', '--control-idle-timeout', '0.3']);
    const path = site.path('kirin.ctl');
    const following = await ControlClient.connect(path);
    following.request({ id: 'e', command: 'events', stream: true });
    // Opened later than the one that follows: when these are idle, that one would have been.
    const silent = await ControlClient.connect(path);
    const halting = await ControlClient.connect(path);
    halting.send(requestFrame({ id: 1, command: 'help' }).subarray(0, 10));
    await Promise.all([silent.end(), halting.end(), client.end()]);
    const idle = [null, 'Idle for 0.3 s: the connection is closed (--control-idle-timeout)'];
    for (const one of [silent, halting, client]) {
      assert.deepEqual(refusals(one), [idle]);
      assert.equal(one.error, undefined);
    }
    assert.equal((await ControlClient.once(path, 'reopen')).status, 'ok');
    await following.frame('the event is told', ({ data }) => /reopen/.test(data?.event?.text));
    following.request({ id: 'c', command: 'cancel e' });
    await following.end();
    assert.deepEqual(refusals(following).slice(-3), [['e', 'Cancelled'], ['c', undefined], idle]);
    for (const one of [silent, halting, following]) one.destroy();
    const late = await ControlClient.connect(path);
    late.request({ id: 'e', command: 'events', stream: true });
    await alone(server, late);
    late.destroy();
  });

  test('more sessions than allowed are told so and closed; when one ends there is room', async (t) => {
    const { client, site, server } = await controlled(t, ['-w', '1', '--control-sessions', '3']);
    const path = site.path('kirin.ctl');
    const others = [await ControlClient.connect(path), await ControlClient.connect(path)];
    for (const one of [client, ...others]) assert.equal((await one.ask('show version')).status, 'ok');
    for (const command of ['help', undefined]) {
      const surplus = await ControlClient.connect(path);
      if (command) surplus.request({ id: 1, command });
      await surplus.end();
      assert.equal(surplus.ended, true);
      assert.deepEqual(refusals(surplus), [
        [null, 'Too many sessions: the most allowed is 3 (--control-sessions)'],
      ]);
      surplus.destroy();
    }
    others[0]!.destroy();
    await server.until('there is room again', async () => {
      const next = await ControlClient.connect(path);
      next.request({ id: 1, command: 'help' });
      await next.until('it is answered', () => next.frames.length > 0);
      next.destroy();
      return next.frames[0]!.status === 'ok';
    });
    for (const one of [client, others[1]!]) assert.equal((await one.ask('help')).status, 'ok');
  });

  for (const allowed of [300, 64])
    test(`of 200 connections at once, where ${allowed} are allowed, no more are refused than must be`, async (t) => {
      const { client, site, server } = await controlled(t, [
        '-w',
        '1',
        '--control-sessions',
        String(allowed),
      ]);
      const clients = await Promise.all(
        Array.from({ length: 200 }, () => ControlClient.connect(site.path('kirin.ctl'))),
      );
      for (const [id, one] of clients.entries()) one.request({ id, command: 'show version' });
      await Promise.all(clients.map((one) => one.until('it is answered', () => one.frames.length > 0)));
      const told = clients.map(({ frames }) => frames[0]!.error ?? 'served');
      const refusal = `Too many sessions: the most allowed is ${allowed} (--control-sessions)`;
      const served = Math.min(200, allowed - 1);
      assert.deepEqual(
        ['served', refusal].map((what) => told.filter((one) => one === what).length),
        [served, 200 - served],
      );
      for (const one of clients) one.destroy();
      await alone(server, client);
    });

  test('more commands than may wait end their connection, and nothing else', async (t) => {
    const { client, site, ask } = await controlled(t, ['-w', '1', '--control-queue', '2']);
    const crowded = await ControlClient.connect(site.path('kirin.ctl'));
    for (const id of ['e1', 'e2']) crowded.request({ id, command: 'events', stream: true });
    // What is answered at once needs no place in the queue.
    assert.equal((await crowded.ask('show stats')).status, 'ok');
    assert.deepEqual((await crowded.ask('cancel e1')).data, { cancelled: true });
    crowded.request({ id: 'e3', command: 'events', stream: true });
    crowded.request({ id: 'add', command: 'worker add --wait' }).request({ id: 'late', command: 'help' });
    await crowded.end();
    assert.deepEqual(refusals(crowded).slice(-3), [
      ['add', 'Too many unanswered commands: the most allowed is 2 (--control-queue)'],
      ['e2', 'The connection is being closed'],
      ['e3', 'The connection is being closed'],
    ]);
    assert.equal(crowded.error, undefined);
    const { workers_target, workers_spawned } = await ask('show stats');
    assert.deepEqual([workers_target, workers_spawned], [1, 1], 'nothing was ordered');
    // Plain orders are answered at once, in their turn.
    for (let id = 0; id < 20; id++) client.request({ id, command: 'reopen' });
    await client.answer(19);
    assert.ok(client.frames.every(({ status }) => status === 'ok'));
  });

  test('the largest request is that of the setting', async (t) => {
    const { client } = await controlled(t, ['-w', '1', '--control-request-max', '1024']);
    const around = JSON.stringify({ id: 'x', command: 'help', more: '' }).length;
    const request = (bytes: number) => ({ id: 'x', command: 'help', more: 'x'.repeat(bytes - around) });
    client.request(request(1024)).request(request(1025));
    await client.end();
    assert.deepEqual(refusals(client), [
      ['x', undefined],
      [null, 'Message too large: 1025 bytes, the most allowed is 1024 (--control-request-max)'],
    ]);
  });

  test('a reply larger than that of the setting is told, and the connection goes on', async (t) => {
    const { client } = await controlled(t, ['-w', '1', '--control-reply-max', '1024']);
    for (const command of ['show config origin', 'help'])
      assert.match(
        (await client.ask(command)).error!,
        /^The reply of \d+ bytes is larger than allowed \(--control-reply-max 1024\)$/,
      );
    assert.equal((await client.ask('show stats')).status, 'ok');
  });

  test('an event larger than a reply may be is left out and counted; the others come', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { client, ask } = await controlled(t, ['-w', '1', '--control-reply-max', '1024'], {
      app: site.path('app.mjs'),
    });
    const events = client.ask('events', { id: 'e', stream: true });
    site.write('app.mjs', `throw new Error('${'very '.repeat(400)}long')`);
    await client.ask('reload --wait');
    await ask('reopen');
    await ask('cancel e');
    const { error, progress } = await events;
    assert.equal(error, 'Cancelled');
    assert.ok(progress.some(({ dropped }) => dropped > 0));
    assert.match(progress.at(-1).event.text, /reopen/);
    let seq = progress[0].event.seq;
    for (const { event, dropped } of progress) {
      if (event) assert.equal(event.seq, seq++);
      else seq += dropped;
    }
  });

  test('a command that takes too long is told; what it ordered goes on, and so does the connection', async (t) => {
    const site = new Site(t);
    site.deploy('v1');
    const { client, server, ask } = await controlled(t, ['-w', '1', '--control-command-timeout', '0.3'], {
      app: site.path('app.mjs'),
    });
    site.deploy(
      'v2',
      'app.mjs',
      `import { existsSync } from 'node:fs';
       while (!existsSync(${JSON.stringify(site.path('go'))})) await new Promise((go) => setTimeout(go, 10));`,
    );
    const { status, error } = await client.ask('reload --wait');
    assert.deepEqual(
      [status, error],
      ['error', 'Timed out: what was ordered goes on, but nobody waits for it any more'],
    );
    assert.equal((await ask('show generations')).rollout, 'trying');
    site.write('go', '');
    await server.told(/^reload done/);
    assert.equal((await server.get()).json()['version'], 'v2');
    assert.equal(client.frames.length, 2, 'nothing more is told of it');
  });

  test('events never time out', async (t) => {
    const { client, ask } = await controlled(t, ['-w', '1', '--control-command-timeout', '0.02'], {
      app: fixture('app.mjs'),
    });
    client.request({ id: 'e', command: 'events', stream: true });
    assert.match((await client.ask('worker add --wait')).error!, /^Timed out/);
    await ask('reopen');
    await client.frame('the event is told', ({ id, data }) => id === 'e' && /reopen/.test(data?.event?.text));
  });
});
