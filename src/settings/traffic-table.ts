/** The settings that steer how connections are accepted and seen to wait: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

/** Their values, resolved. */
export interface TrafficSettings {
  /** Of each worker. Default 0: no limit. */
  workerConnections: number;
  /** Default false. */
  reusePort: boolean;
  /** Default false. */
  enableBacklogMetric: boolean;
}

export const TRAFFIC_DEFAULTS: TrafficSettings = {
  workerConnections: 0,
  reusePort: false,
  enableBacklogMetric: false,
};

export const TRAFFIC_SETTINGS = {
  /** Gunicorn's limit of 1000 guards threads and greenlets; a connection of Node.js costs some kilobytes and a descriptor. */
  workerConnections: {
    name: 'worker_connections',
    flag: 'worker-connections',
    type: { kind: 'count', min: 0, max: 1_000_000 },
    defaultText: '0',
    group: 'Workers',
    text: 'Connections a worker may have open; more go to others or wait; 0: no limit, an idle one costs next to nothing',
    reloadable: true,
    public: true,
  },
  reusePort: {
    name: 'reuse_port',
    flag: 'reuse-port',
    type: { kind: 'switch' },
    group: 'Serving',
    text: 'Share TCP ports with other servers of the same user (SO_REUSEPORT; Node.js 22.12 or later, not on macOS)',
    reloadable: false,
    public: true,
  },
  enableBacklogMetric: {
    name: 'enable_backlog_metric',
    flag: 'enable-backlog-metric',
    type: { kind: 'switch' },
    group: 'Metrics and health',
    text: 'Tell how many connections wait to be accepted, for each TCP address (Linux)',
    reloadable: false,
    public: true,
  },
} as const satisfies Record<string, Setting>;
