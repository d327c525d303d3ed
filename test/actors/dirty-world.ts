/** A router in a world of the test's own: channels in memory, a clock that stands still, and what arrives on a list. */
import {
  bareFrame,
  callerIdOf,
  callerOf,
  FLAG_STREAM,
  FRAME,
  flagsOf,
  type Header,
  idOf,
  numberOf,
  payloadOf,
  typeOf,
} from '../../src/actors/dirty/frames.ts';
import { DIRTY_PROTOCOL, type Door } from '../../src/actors/dirty/hello.ts';
import { packFrame, unpack } from '../../src/actors/dirty/packing.ts';
import { Router, type RouterOptions } from '../../src/actors/dirty/router.ts';
import { channelPair, type MemoryChannel } from './dirty-memory-channel.ts';

export const APPS = [
  { importPath: './a.js:A', number: 0 },
  { importPath: './b.js:B', number: 1 },
];
export const GRACE_MS = 1000;
export const SECRET = 'secret';

export interface Heard {
  type: number;
  id: number;
  number: number;
  flags: number;
  caller: number;
  callerId: number;
  value: unknown;
}

/** A world in which nothing happens but what is on its list, one after the other. */
export class World {
  nowMs = 1000;
  readonly stuck: number[] = [];
  /** Why they are, in the words of the log. */
  readonly whys: string[] = [];
  readonly left: number[] = [];
  readonly notices: string[] = [];
  readonly router: Router;
  #work: (() => void)[] = [];
  #pick: (below: number) => number;

  /** `pick` chooses what happens next; without it the oldest does. */
  constructor(options: Partial<RouterOptions> = {}, pick: (below: number) => number = () => 0) {
    this.#pick = pick;
    this.router = new Router({
      apps: APPS,
      queueMax: 5,
      threads: 1,
      graceMs: GRACE_MS,
      stash: (payload) => ({ ok: true, payload: Buffer.from(payload) }),
      stuck: (age, why) => {
        this.stuck.push(age);
        this.whys.push(why);
      },
      left: (age) => this.left.push(age),
      notice: (text) => this.notices.push(text),
      now: () => this.nowMs,
      ...options,
    });
  }

  /** Everything that is under way arrives. */
  settle(): void {
    while (this.step()) {}
  }

  /** One thing that is under way arrives; false when nothing is. */
  step(): boolean {
    if (this.#work.length === 0) return false;
    const [work] = this.#work.splice(this.#pick(this.#work.length), 1);
    work!();
    return true;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.router.sweep();
  }

  connect(): MemoryChannel {
    const [near, far] = channelPair((work) => this.#work.push(work));
    this.router.accept(far);
    return near;
  }

  caller(generation = 1, pid = 42, role: 'web' | 'dirty' = 'web'): Peer {
    const peer = new Peer(this.connect());
    peer.send({ type: FRAME.hello }, { role, protocol: DIRTY_PROTOCOL, pid, age: 1, generation });
    this.settle();
    return peer;
  }

  worker(age: number, apps: number[] = [0], generation = 1, direct?: Door): Peer {
    this.router.expect(age, generation, apps, SECRET);
    const peer = new Peer(this.connect());
    peer.send(
      { type: FRAME.hello },
      { role: 'worker', protocol: DIRTY_PROTOCOL, pid: 43, age, generation, apps, secret: SECRET, direct },
    );
    this.settle();
    return peer;
  }

  app(number = 0) {
    return this.router.stats().apps[number]!;
  }
}

/** Either side of the router: what it heard, and a way to say something. */
export class Peer {
  readonly channel: MemoryChannel;
  heard: Heard[] = [];
  ended: string | undefined;

  constructor(channel: MemoryChannel) {
    this.channel = channel;
    channel.open({
      frame: (frame, more) => {
        const payload = payloadOf(frame, more);
        this.heard.push({
          type: typeOf(frame),
          id: idOf(frame),
          number: numberOf(frame),
          flags: flagsOf(frame),
          caller: callerOf(frame),
          callerId: callerIdOf(frame),
          value: payload.length > 0 ? unpack(payload) : undefined,
        });
      },
      ended: (why) => {
        this.ended = why;
      },
    });
  }

  send(header: Header, value?: unknown): void {
    this.channel.send(value === undefined ? bareFrame(header) : packFrame(header, value));
  }

  /** What was heard of that type, and forgotten now. */
  take(type: number): Heard[] {
    const taken = this.heard.filter((one) => one.type === type);
    this.heard = this.heard.filter((one) => one.type !== type);
    return taken;
  }

  call(id: number, options: { app?: number; ms?: number; stream?: boolean; value?: unknown } = {}): void {
    const { app = 0, ms = 0, stream = false, value = `call ${id}` } = options;
    this.send({ type: FRAME.call, id, app, number: ms, flags: stream ? FLAG_STREAM : 0 }, ['act', [value]]);
  }

  /** The calls that came to this worker, by what they were called with. */
  calls(): { id: number; with: unknown; ms: number }[] {
    return this.take(FRAME.call).map(({ id, value, number }) => ({
      id,
      with: (value as [string, unknown[]])[1][0],
      ms: number,
    }));
  }

  /** Ends of calls that came to this caller: `3 result`, `4 DIRTY_TIMEOUT`. */
  ends(): string[] {
    const isEnd = ({ type }: Heard) => type === FRAME.result || type === FRAME.error || type === FRAME.end;
    const ends = this.heard.filter(isEnd);
    this.heard = this.heard.filter((one) => !isEnd(one));
    return ends.map(({ id, type, value }) => {
      if (type === FRAME.error) return `${id} ${(value as { code: string }).code}`;
      return `${id} ${type === FRAME.end ? 'end' : 'result'}`;
    });
  }

  result(id: number, value: unknown = null): void {
    this.send({ type: FRAME.result, id }, value);
  }
}
