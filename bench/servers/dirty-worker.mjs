// A dirty worker of Kirin's by itself: SOCKET AGE. Run with tsx.
import { actionsOf, DirtyApp } from '../../src/actors/dirty/app.ts';
import { openRuntimeLine } from '../../src/actors/dirty/runtime-line.ts';
import { actions } from './dirty-actions.mjs';

class Bench extends DirtyApp {}
for (const [name, value] of Object.entries(actions))
  Object.defineProperty(Bench.prototype, name, { value, configurable: true, writable: true });

const [socket, age] = process.argv.slice(2);
const app = { importPath: './bench.js:Bench', instance: new Bench(), actions: actionsOf(Bench) };
await openRuntimeLine({
  socket,
  pid: process.pid,
  age: Number(age),
  generation: 1,
  secret: 'bench',
  apps: new Map([[0, app]]),
  notice: (text) => console.error(text),
  ended: () => process.exit(),
});
