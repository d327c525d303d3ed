/** The settings of TLS, HTTP/2 and the limits of requests: a part of the table of settings (`table.ts`). */
import type { Setting } from './table.ts';

const group = 'TLS and HTTP';
/** New workers have it, and read the files again. */
const reloadable = true;
const SECONDS_MAX = 20 * 24 * 3600;
const KIB = 1024;

export const EDGE_SETTINGS = {
  /** PEM, the chain behind the certificate. */
  certfile: {
    name: 'certfile',
    flag: 'certfile',
    type: { kind: 'path' },
    group,
    text: 'Certificate (PEM, with its chain): serve TLS; read again at each reload',
    reloadable,
  },
  keyfile: {
    name: 'keyfile',
    flag: 'keyfile',
    type: { kind: 'path' },
    defaultText: 'the certificate file',
    group,
    text: 'Its private key (PEM)',
    reloadable,
  },
  caCerts: {
    name: 'ca_certs',
    flag: 'ca-certs',
    type: { kind: 'path' },
    group,
    text: 'Certificates (PEM) that those of clients are checked against',
    reloadable,
  },
  certReqs: {
    name: 'cert_reqs',
    flag: 'cert-reqs',
    type: { kind: 'choice', of: ['none', 'optional', 'required'] },
    defaultText: 'none',
    group,
    text: 'Whether clients are asked for a certificate: none, optional or required',
    reloadable,
    public: true,
  },
  /** OpenSSL's list. */
  ciphers: {
    name: 'ciphers',
    flag: 'ciphers',
    type: { kind: 'text', lengthMax: 4096 },
    defaultText: "Node.js's own",
    group,
    text: 'Ciphers that are offered, as OpenSSL writes them',
    reloadable,
    public: true,
  },
  sslMinVersion: {
    name: 'ssl_min_version',
    flag: 'ssl-min-version',
    type: { kind: 'choice', of: ['TLSv1.2', 'TLSv1.3'] },
    defaultText: 'TLSv1.2',
    group,
    text: 'The oldest version of TLS that is spoken',
    reloadable,
    public: true,
  },
  http2: {
    name: 'http2',
    flag: 'http2',
    type: { kind: 'switch' },
    group,
    text: 'Speak HTTP/2 with those who can (needs TLS), HTTP/1.1 with the others',
    reloadable,
    public: true,
  },
  http2Streams: {
    name: 'http2_max_concurrent_streams',
    flag: 'http2-max-concurrent-streams',
    type: { kind: 'count', min: 1, max: 1_000_000 },
    defaultText: '100',
    group,
    text: 'Requests at once on one HTTP/2 connection',
    reloadable,
    public: true,
  },
  maxHeaderBytes: {
    name: 'max_header_size',
    flag: 'max-header-size',
    type: { kind: 'bytes', min: KIB, max: KIB * KIB },
    defaultText: '16K',
    group,
    text: 'Size of the head of a request, request line included; answered with 431 beyond',
    reloadable,
    public: true,
  },
  headersTimeoutMs: {
    name: 'headers_timeout',
    flag: 'headers-timeout',
    type: { kind: 'seconds', min: 0, max: SECONDS_MAX },
    defaultText: '60',
    group,
    text: 'Seconds the head of a request may take to arrive; 0: no limit',
    reloadable,
    public: true,
  },
  requestTimeoutMs: {
    name: 'request_timeout',
    flag: 'request-timeout',
    type: { kind: 'seconds', min: 0, max: SECONDS_MAX },
    defaultText: '300',
    group,
    text: 'Seconds a whole request, its body included, may take to arrive; 0: no limit',
    reloadable,
    public: true,
  },
} as const satisfies Record<string, Setting>;
