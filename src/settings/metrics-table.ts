/** The settings of metrics and health: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'Metrics and health';
const reloadable = false;

export const METRICS_SETTINGS = {
  /** Where /metrics, /healthz and /readyz are answered; undefined: nowhere. Never on the app's own port. */
  metrics: {
    name: 'metrics',
    flag: 'metrics',
    type: { kind: 'endpoint', byDefault: '127.0.0.1:9180', unix: true },
    defaultText: 'off',
    group,
    text: 'Prometheus metrics, /healthz and /readyz, at 127.0.0.1:9180 unless HOST:PORT, PORT or unix:PATH follows',
    reloadable,
    public: true,
  },
  statsdHost: {
    name: 'statsd_host',
    flag: 'statsd-host',
    type: { kind: 'endpoint', byDefault: '127.0.0.1:8125' },
    defaultText: 'off',
    group,
    text: 'Send what is counted to statsd, at 127.0.0.1:8125 unless HOST:PORT or PORT follows',
    reloadable,
    public: true,
  },
  statsdPrefix: {
    name: 'statsd_prefix',
    flag: 'statsd-prefix',
    type: { kind: 'text', lengthMax: 200 },
    defaultText: 'none',
    group,
    text: 'Before each name that is sent to statsd',
    reloadable,
    public: true,
  },
  dogstatsdTags: {
    name: 'dogstatsd_tags',
    flag: 'dogstatsd-tags',
    type: { kind: 'text', lengthMax: 500 },
    defaultText: 'none',
    group,
    text: 'Tags for DogStatsD, such as env:prod,team:web',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
