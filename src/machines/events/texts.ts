/**
 * What each event means, in one sentence: for the diagrams, and for whoever shows events to people. A vocabulary's event
 * without a text does not compile, nor does a text without an event.
 */
import type { ArbiterEvent } from '../arbiter-context.ts';
import type { ChildEvent } from '../child.ts';
import type { ControlListenerEvent } from '../control-listener.ts';
import type { ControlSessionEvent } from '../control-session.ts';
import type { DirtyArbiterInternal, EditionOrder, RouterOrder } from '../dirty-arbiter-setup.ts';
import type { DirtyTreeEvent } from '../dirty-tree-setup.ts';
import type { PoolEvent } from '../pool-context.ts';
import type { ArbiterReport, LogOrder } from './arbiter.ts';
import type { ConnectionOrder, ControlSocketOrder } from './control.ts';
import type { GenerationOrder } from './generation.ts';
import type { LinkMap } from './link.ts';
import type { ProcessOrder } from './process.ts';
import type { PredecessorOrder, PredecessorWord, SuccessorNews, SuccessorOrder } from './upgrade.ts';
import type { WorkerInternal } from './worker.ts';

/** Whatever is said in Kirin: between machines, between a machine and its actors, and over the links. */
type Spoken =
  | ArbiterEvent
  | ArbiterReport
  | PoolEvent
  | ChildEvent
  | ProcessOrder
  | LinkMap[keyof LinkMap]['down' | 'up']
  | WorkerInternal
  | DirtyArbiterInternal
  | EditionOrder
  | RouterOrder
  | DirtyTreeEvent
  | ControlListenerEvent
  | ControlSocketOrder
  | ControlSessionEvent
  | ConnectionOrder
  | GenerationOrder
  | LogOrder
  | SuccessorNews
  | SuccessorOrder
  | PredecessorOrder
  | PredecessorWord
  | { type: 'server.cut' };

/** The name of an event that Kirin declares; XState names its own. */
export type EventName = Exclude<Spoken['type'], `xstate.${string}`>;

export const EVENT_TEXTS: Readonly<Record<EventName, string>> = {
  // ── orders to the arbiter, from signals, control commands and tests; and what became of them ────────────────────
  'arbiter.scale': 'Change the number of workers, as far as the bounds allow.',
  'arbiter.reload': 'Start a new generation, with code and settings read afresh.',
  'arbiter.retire': 'Let the worker of one age go; it is replaced.',
  'arbiter.dirtyScale': 'Change the number of dirty workers, as far as their apps allow.',
  'arbiter.dirtyRetire': 'Let the dirty worker of one age go; it is replaced.',
  'arbiter.dirtyCancel': 'End one call of a dirty worker; its caller is told.',
  'arbiter.reopen': 'Open the log files again.',
  'arbiter.stop': 'Stop the server; a second signal hastens.',
  'arbiter.upgrade': 'Start a new arbiter beside this one, which inherits the sockets.',
  'arbiter.rest': 'Let all workers go, and hire none: the new arbiter serves.',
  'order.taken': 'An order was accepted.',
  'order.done': 'An order was carried out.',
  'order.refused': 'An order was refused, and nothing was changed.',
  'order.failed': 'An order could not be carried out, or not completely.',
  'order.superseded': 'A newer order took the place of this one.',
  'order.overdue': 'The dirty arbiter has not answered an order in time.',

  // ── upgrades: the new arbiter as the old one sees it, and the old one as the new one does ───────────────────────
  'successor.serving': 'The new arbiter serves beside this one.',
  'successor.failed': 'The new arbiter ended, or was given up, before it served.',
  'successor.gone': 'The new arbiter served, and has ended.',
  'successor.started': 'The process of the new arbiter was started.',
  'successor.stands': 'The new arbiter says that it serves.',
  'successor.ended': 'The process of the new arbiter has ended, or could not be started.',
  'successor.end': 'Signal the process of the new arbiter to end.',
  'predecessor.gone': 'The old arbiter has ended.',
  'predecessor.succeed':
    "Take what was the old arbiter's: its pid file, its control sockets, the names of its sockets.",
  'predecessor.yields': 'The old arbiter has freed what only one of the two can have.',

  // ── generations and logs ─────────────────────────────────────────────────────────────────────────────────────
  'generation.prepare': 'Read the settings, bind the addresses, and find the code of a new generation.',
  'generation.release': 'Close the listeners that only this generation has.',
  'generation.close': 'Close all listeners: what connects is to go elsewhere.',
  'generation.prepared': 'A generation can be started: its settings are read and its addresses are bound.',
  'generation.refused': 'A generation cannot be started: its settings are wrong, or an address is taken.',
  'edition.keep': 'Remember what the dirty workers of an edition are started from.',
  'edition.release': 'Forget an edition: none of its dirty workers is left.',
  'router.leave':
    'Begin no call any more: calls are handed back to wait for another dirty arbiter, or refused.',
  'log.reopen': 'Open the log files again.',

  // ── a pool: orders of its arbiter, its reports, and its own review ─────────────────────────────────────────────
  'pool.scale': 'Keep so many children from now on.',
  'pool.replace': 'Roll over to a new generation, behind a trial.',
  'pool.commit': 'Let the candidates that stand take over.',
  'pool.abandon': 'Give up the trial: the candidates end, the old children go on.',
  'pool.retire': 'Let one child go; it is replaced.',
  'pool.hurry': 'Hire what is missing at once: what a wait was for may be cured.',
  'pool.stop': 'Let all children go.',
  'pool.opened': 'The first child is ready.',
  'pool.openFailed': 'No child was ever ready, and one failed to boot.',
  'pool.standing': 'The candidates of a reload that is held are ready and have lasted.',
  'pool.committed': 'A reload passed its commit point: from here it only goes forward.',
  'pool.done': 'An order to the pool was carried out.',
  'pool.refused': 'An order to the pool was refused, and nothing was changed.',
  'pool.failed': 'An order to the pool could not be carried out, or not completely.',
  'pool.superseded': 'A newer order took the place of one to the pool.',
  'pool.degraded': 'A replacement could not boot; what is ready goes on serving.',
  'pool.generationGone': 'The last process of a generation is gone.',
  'pool.stopped': 'Nobody is left.',
  'pool.cooled': 'What a place waited for after a failure is over.',
  'pool.review': 'Something changed: ask the policy what is missing and what is too much.',

  // ── one supervised process: orders of its pool, and what its child machine reports ──────────────────────────────
  'child.drain': 'Ask the process to finish what is in flight, and to leave.',
  'child.quit': 'Ask the process to cut what is in flight, and to leave.',
  'child.kill': 'Kill the process, without asking it.',
  'child.spawned': 'The process exists and has a pid.',
  'child.ready': 'The process serves.',
  'child.stable': 'The process has been ready for so long that its end says nothing against its code.',
  'child.recycleDue':
    'The process has answered its share of requests, or holds too much memory, and is to be replaced.',
  'child.overweight': 'The process holds more memory than any may, and is to be killed.',
  'child.leaving': 'The process takes no more work: ordered, terminated from outside, or being killed.',
  'child.exited': 'The process is gone, with how and why.',
  'process.signal': 'Send a signal to the process.',
  'process.spawned': 'The operating system has started the process.',
  'process.spawnFailed': 'The operating system could not start the process.',
  'process.silent': 'No heartbeat came for longer than the limit: the event loop hangs.',
  'process.swelled': 'The process holds more memory than the soft or the hard limit allows.',
  'process.linkBroken': 'What came over the link is not of its protocol, or of another version of it.',
  'process.exited': 'The process is reaped, and its last words were delivered.',

  // ── over the links: orders down, reports up ────────────────────────────────────────────────────────────────────
  'worker.boot': 'Boot: here is all you need to know.',
  'worker.shed': 'It has more connections than its share: so many clients are asked to connect anew.',
  'worker.pause': 'Accept no new connections; those that are there are served as before.',
  'worker.resume': 'Accept connections again.',
  'worker.rest':
    'More workers accept than the full processors can run: accept no new connections until you are woken.',
  'worker.wake': 'Rest no more: accept connections again, unless an operator has paused you.',
  'worker.drain': 'Take no more work, finish what is in flight within the grace, and exit.',
  'worker.quit': 'Cut what is in flight, and exit.',
  'worker.hello': 'The first word of a process: who it is, and which protocol it speaks.',
  'worker.ready': 'The process has booted and takes work.',
  'worker.bootFailed': 'The process could not boot, and says why.',
  'worker.recycleDue': 'As many requests as one process is to answer were answered.',
  'worker.paused': 'The worker accepts no new connections.',
  'worker.resumed': 'The worker accepts connections again.',
  'worker.metrics': 'What was counted of the requests of a worker, for whoever asks for metrics.',
  'worker.reopen': 'Log files were renamed: the worker goes on in new ones.',
  'worker.modules': 'The worker has loaded these files.',
  'worker.pauseFailed': 'The worker cannot pause, and accepts as before.',
  'worker.draining': 'The process takes no more work, on an order or of its own accord.',
  'worker.drained': 'The last work is done, or was cut when the grace ended.',
  'worker.heartbeat': 'The event loop turns; with its delay, the requests and the memory.',
  'worker.lastWords': 'Why the process is about to exit though nobody asked it to.',
  'worker.notice': 'A line for the log.',
  'inspect.start': 'Somebody watches: tell everything that is, then what happens.',
  'inspect.stop': 'Nobody watches any more.',
  'inspect.batch': 'What happened to the actors of a process, for those who watch.',
  'link.ended': 'The other end of the link is gone: the parent has died, or has closed it.',
  'signals.terminated': 'SIGTERM came from outside.',
  'app.crashed': 'An error of the app was not caught: what is in flight is to be answered first.',
  'server.recycleDue': 'As many requests as one worker is to take were taken.',
  'server.cut': 'Cut what is in flight.',

  // ── the dirty tree: orders down, reports up ────────────────────────────────────────────────────────────────────
  'dirty.scale': 'Change the number of dirty workers, as far as their apps allow.',
  'dirty.replace': 'Try a new generation of dirty workers; its candidates stand until the order to commit.',
  'dirty.commit': 'Let the dirty candidates that stand take over.',
  'dirty.abandon': 'Give up the trial of dirty workers.',
  'dirty.retire': 'Let the dirty worker of one age go; it is replaced.',
  'dirty.cancel': 'End one call; its caller is told.',
  'dirty.describe': 'Tell how the dirty workers, apps and calls stand.',
  'dirty.stop': 'Let the dirty arbiter and all its workers go.',
  'dirty.opened': 'The first dirty worker is ready.',
  'dirty.openFailed': 'No dirty worker was ever ready, and one failed to boot.',
  'dirty.degraded': 'The dirty arbiter could not be replaced; the next try waits.',
  'dirty.taken': 'An order to change the number of dirty workers was accepted, or leaves nothing to do.',
  'dirty.standing': 'The dirty candidates of a reload are ready and have lasted.',
  'dirty.committed': 'The dirty workers passed the commit point of a reload.',
  'dirty.done': 'An order about dirty workers was carried out.',
  'dirty.refused': 'An order about dirty workers was refused, and nothing was changed.',
  'dirty.failed': 'An order about dirty workers could not be carried out, or not completely.',
  'dirty.superseded': 'A newer order took the place of one about dirty workers.',
  'dirty.described': 'How the dirty workers, apps and calls stand.',
  'dirty.measured': 'What was counted of the calls of a dirty app, for whoever asks for metrics.',
  'dirty.stopped': 'The dirty arbiter is gone, and everybody of its tree.',
  'link.up': 'A dirty arbiter is ready and takes orders over its link.',
  'link.down': 'The dirty arbiter takes no more orders: it is leaving or gone.',
  'signals.stop': 'A signal from outside tells the dirty arbiter to stop.',
  'signals.reload': 'HUP from outside: start the same dirty workers anew.',
  'signals.scale': 'TTIN or TTOU from outside: one dirty worker more, or one less.',
  'router.stuck': 'A dirty worker did not come free after a call had overrun its time.',

  // ── the control interface ──────────────────────────────────────────────────────────────────────────────────────
  'control.opened': 'A control socket takes connections.',
  'control.unavailable': 'A control socket cannot be bound; told once until it opens.',
  'socket.opened': 'The control socket is bound and takes connections.',
  'socket.failed': 'The control socket could not be bound, or has failed.',
  'socket.lost': "The socket's name is gone from the file system, or somebody else's.",
  'connection.accepted': 'A client connected to the control socket.',
  'connection.refuse': 'Tell a client that there is no room for it, and close.',
  'session.ended': 'The session of a client is over.',
  'request.ordered': 'A client gave an order for the arbiter.',
  'request.began': 'A request that takes time is under way.',
  'request.ended': 'A request that took time was answered.',
  'request.overdue': 'A request has taken longer than a command may.',
  'request.expire': 'Answer that the request took too long.',
  'connection.idled': 'The client said nothing for the idle time.',
  'connection.finished': 'The client will send no more.',
  'connection.violated': 'The client broke a limit or the protocol, and was told.',
  'connection.closed': 'Both ends of the connection are closed.',
  'connection.close': 'Write what is left, then close.',
  'connection.destroy': 'Cut the connection.',
};
