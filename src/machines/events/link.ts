/** The link map: which events may pass over a link, in which direction, by the kind of process below. */
import type * as v from 'valibot';
import {
  type DirtyArbiterOrder,
  type DirtyArbiterReport,
  type DirtyWorkerOrder,
  dirtyArbiterOrders,
  dirtyArbiterReports,
  dirtyWorkerOrders,
  dirtyWorkerReports,
} from './dirty.ts';
import { type InspectOrder, type InspectReport, inspectOrders, inspectReports } from './inspect.ts';
import type { LifecycleReport } from './lifecycle.ts';
import {
  type TrafficOrder,
  type WorkerOrder,
  type WorkerReport,
  workerOrders,
  workerReports,
} from './worker.ts';

/** The version of the frames and of the vocabulary; both ends must have the same. */
export const LINK_PROTOCOL = 2;

/** Types of both ends of every link. Down: orders of the parent. Up: reports of the child. */
export interface LinkMap {
  web: { down: WorkerOrder | InspectOrder; up: WorkerReport | InspectReport };
  dirtyArbiter: { down: DirtyArbiterOrder | InspectOrder; up: DirtyArbiterReport | InspectReport };
  dirtyWorker: { down: DirtyWorkerOrder | InspectOrder; up: LifecycleReport | InspectReport };
}
export type LinkKind = keyof LinkMap;
export type Down<K extends LinkKind> = LinkMap[K]['down'];
export type Up<K extends LinkKind> = LinkMap[K]['up'];
/** What a process's own machine is told; inspection and traffic are beside it. */
export type MachineOrder<K extends LinkKind> = Exclude<Down<K>, InspectOrder | TrafficOrder>;

/** Schemas by direction and type; what is not in here is not read. */
export type Vocabulary = Readonly<Record<string, v.GenericSchema>>;
export const linkSchemas: { [K in LinkKind]: { down: Vocabulary; up: Vocabulary } } = {
  web: { down: { ...workerOrders, ...inspectOrders }, up: { ...workerReports, ...inspectReports } },
  dirtyArbiter: {
    down: { ...dirtyArbiterOrders, ...inspectOrders },
    up: { ...dirtyArbiterReports, ...inspectReports },
  },
  dirtyWorker: {
    down: { ...dirtyWorkerOrders, ...inspectOrders },
    up: { ...dirtyWorkerReports, ...inspectReports },
  },
};
