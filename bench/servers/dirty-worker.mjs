// A dirty worker of Kirin's by itself: SOCKET AGE. Run as a bundle.
import { actionsOf, DirtyApp } from '../../src/actors/dirty/app.ts';
import { FRAME } from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL } from '../../src/actors/dirty/hello.ts';
import { packFrame } from '../../src/actors/dirty/packing.ts';
import { DirtyRuntime } from '../../src/actors/dirty/runtime.ts';
import { RuntimeDoor } from '../../src/actors/dirty/runtime-door.ts';
import { connectChannel } from '../../src/actors/dirty/socket-channel.ts';
import { actions } from './dirty-actions.mjs';

class Bench extends DirtyApp {}
for (const [name, value] of Object.entries(actions))
  Object.defineProperty(Bench.prototype, name, { value, configurable: true, writable: true });

const [socket, age] = process.argv.slice(2);
const app = { importPath: './bench.js:Bench', instance: new Bench(), actions: actionsOf(Bench) };
const channel = await connectChannel(socket);
const runtime = new DirtyRuntime({
  apps: new Map([[0, app]]),
  send: (frame) => channel.send(frame),
  sendNow: (frame, more) => channel.sendNow(frame, more),
  direct: (caller) => door.to(caller),
  notice: (text) => console.error(text),
});
const door = new RuntimeDoor({
  payload: (...brought) => runtime.brought(...brought),
  withdrawn: (...call) => runtime.withdrawn(...call),
  callerGone: (caller) => runtime.callerGone(caller),
});
const direct = await door.open(`${socket}-${age}`);
channel.open({ frame: (frame, more) => void runtime.take(frame, more), ended: () => process.exit() });
channel.send(
  packFrame(
    { type: FRAME.hello },
    {
      role: 'worker',
      protocol: DIRTY_PROTOCOL,
      pid: process.pid,
      age: Number(age),
      generation: 1,
      apps: [0],
      secret: 'bench',
      direct,
    },
  ),
);
