/** Redaction: values that are secrets are found by their name and then anywhere; what is innocent stays readable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HIDDEN, isSecretName, Redactor, VALUES_MAX } from '../../src/actors/redaction.ts';

function knowing(variables: Record<string, string>, all = false): Redactor {
  const redactor = new Redactor();
  redactor.learn(1, variables, { all });
  return redactor;
}

describe('names of secrets', () => {
  for (const name of [
    'PASSWORD',
    'MYSQL_PWD',
    'USER_JWT',
    'DB_PASSWORD',
    'db_passwd',
    'passphrase',
    'API_KEY',
    'apiKey',
    'AWS_SECRET_ACCESS_KEY',
    'GITHUB_TOKEN',
    'session_secret',
    'GOOGLE_CREDENTIALS',
    'PRIVATE_PEM',
    'KEY',
    'signing_key',
    'AUTH',
    'SENTRY_DSN',
    'COOKIE',
    'SALT',
    'Authorization',
    'proxy-authorization',
    'encryptionKey',
    'stripeKey',
    'dbAuth',
    'sessionCookie',
    'sessionId',
    'bearer',
  ])
    test(name, () => assert.equal(isSecretName(name), true));
  for (const name of [
    'workers',
    'bind',
    'keep_alive',
    'monkey',
    'author',
    'path',
    'PORT',
    'pid',
    'keyboard',
    'state',
    'monkeyCount',
    'authors',
    'sessionIdle',
  ])
    test(`not ${name}`, () => assert.equal(isSecretName(name), false));
});

test('a value is hidden wherever it is quoted', () => {
  const redactor = knowing({ DB_PASSWORD: 'hunter22' });
  assert.equal(redactor.text('login with hunter22, or "hunter22"'), `login with ${HIDDEN}, or "${HIDDEN}"`);
});

test('of the surroundings only values with the name of a secret are; of `env` all but those everybody knows', () => {
  const variables = { REGION: 'eu-central-1', NODE_ENV: 'production', KIRIN_API_TOKEN: 'auto-auto' };
  assert.equal(knowing(variables).text('eu-central-1'), 'eu-central-1');
  assert.equal(knowing(variables, true).text('eu-central-1'), HIDDEN);
  assert.equal(knowing(variables, true).text('production auto-auto'), `production ${HIDDEN}`);
});

test('a value is hidden as it is written in JSON, in an address and in base64', () => {
  const value = 'p/ss "word" & more';
  const redactor = knowing({ DB_PASSWORD: value });
  for (const written of [
    JSON.stringify({ a: value }),
    `x?y=${encodeURIComponent(value)}`,
    Buffer.from(value).toString('base64'),
    Buffer.from(value).toString('base64url'),
  ]) {
    const told = redactor.text(written);
    assert.ok(told.includes(HIDDEN), written);
    assert.doesNotMatch(told, /ss|cC9zcy/, written);
  }
});

test('what is named like a secret is hidden in forms, connection strings, JSON and shown objects', () => {
  const redactor = new Redactor();
  for (const [text, told] of [
    ['password=pw1&page=2', `password=${HIDDEN}&page=2`],
    ['Server=db;Password=PwInConn88;Timeout=3', `Server=db;Password=${HIDDEN};Timeout=3`],
    ['{"password":"a\\"b","page":"2"}', `{"password":"${HIDDEN}","page":"2"}`],
    [
      '{"body":"{\\"apiKey\\":\\"abc\\",\\"x\\":\\"y\\"}"}',
      `{"body":"{\\"apiKey\\":\\"${HIDDEN}\\",\\"x\\":\\"y\\"}"}`,
    ],
    ["{ user: 'me', password: 'pw' }", `{ user: 'me', password: '${HIDDEN}' }`],
  ] as const)
    assert.equal(redactor.text(text), told);
  for (const innocent of ['a=b, c: "d"', 'workers: 2', 'x = password', "error: 'no such key'"])
    assert.equal(redactor.text(innocent), innocent);
});

test('short values are not looked for, nor is nothing', () => {
  const redactor = knowing({ A_TOKEN: 'abc', B_TOKEN: '', C_TOKEN: 'abcde' });
  assert.equal(redactor.text('abcde abc'), 'abcde abc');
});

test('a value that contains another is hidden as a whole', () => {
  const redactor = knowing({ A_TOKEN: 'secret', B_TOKEN: 'secret-and-more' });
  assert.equal(redactor.text('secret-and-more secret'), `${HIDDEN} ${HIDDEN}`);
});

test('what is learnt later is added to what was known', () => {
  const redactor = knowing({ A_TOKEN: 'first-one' });
  redactor.learn(2, { B_TOKEN: 'second-one', UNSET: undefined }, { all: false });
  assert.equal(redactor.text('first-one second-one'), `${HIDDEN} ${HIDDEN}`);
});

test('passwords in addresses are hidden, known or not', () => {
  const redactor = new Redactor();
  assert.equal(redactor.text('postgres://me:pw@db/x'), `postgres://me:${HIDDEN}@db/x`);
  assert.equal(redactor.text('redis://:pw@cache:6379'), `redis://:${HIDDEN}@cache:6379`);
  assert.equal(redactor.text('postgres://me:p@ss:w@rd@db/x'), `postgres://me:${HIDDEN}@db/x`);
  assert.equal(redactor.text('https://ghp_token@host/x'), `https://${HIDDEN}@host/x`);
  assert.equal(redactor.text(`x://u:${'p'.repeat(3000)}@h`), `x://u:${HIDDEN}@h`);
  assert.equal(redactor.text('http://localhost:8000/'), 'http://localhost:8000/');
  assert.equal(redactor.text('http://localhost:8000/x?mail=a@b'), 'http://localhost:8000/x?mail=a@b');
  assert.equal(redactor.text('http://[::1]:8000/x?mail=a@b'), 'http://[::1]:8000/x?mail=a@b');
});

test('secrets among the parameters of an address are hidden by their name', () => {
  const redactor = new Redactor();
  assert.equal(
    redactor.text('GET https://h/x?page=2&api_key=AKIA123&token=abc#t failed'),
    `GET https://h/x?page=2&api_key=${HIDDEN}&token=${HIDDEN}#t failed`,
  );
  assert.equal(redactor.text('a=b&c=d?'), 'a=b&c=d?');
});

test('a value of several lines is hidden line by line, as it is quoted', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n';
  const redactor = knowing({ TLS_KEY: key });
  const quoted = redactor.text(
    `{ pem: '-----BEGIN PRIVATE KEY-----\\n' +\n  'MIIEvQIBADANBg\\n' + "kqhkiG9w0BAQEF" }`,
  );
  assert.doesNotMatch(quoted, /MIIEv|kqhki/);
  assert.match(quoted, /BEGIN PRIVATE KEY/);
});

test('what processes say of themselves is redacted, and nothing else of it', () => {
  const redactor = knowing({ ROLE: 'worker', A_TOKEN: 'hunter22' }, true);
  const failed = {
    type: 'worker.bootFailed',
    fault: { code: 'app.loadFailed' as const, message: 'no hunter22', stack: 'at hunter22' },
  };
  assert.deepEqual(redactor.report(failed), {
    type: 'worker.bootFailed',
    fault: { code: 'app.loadFailed', message: `no ${HIDDEN}`, stack: `at ${HIDDEN}` },
  });
  const notice = { type: 'worker.notice', level: 'info', text: 'with hunter22' };
  assert.deepEqual(redactor.report(notice), { ...notice, text: `with ${HIDDEN}` });
  assert.deepEqual(redactor.report({ type: 'worker.ready' }), { type: 'worker.ready' });
});

test('the values of a generation are forgotten with it, and there is a bound that is told', () => {
  const redactor = new Redactor();
  redactor.learn(1, { A_TOKEN: 'first-one' }, { all: false });
  redactor.learn(2, { A_TOKEN: 'second-one' }, { all: false });
  redactor.forget(1);
  assert.equal(redactor.text('first-one second-one'), `first-one ${HIDDEN}`);
  const many = Object.fromEntries(
    Array.from({ length: VALUES_MAX + 3 }, (_, n) => [`TOKEN_${n}`, `value-${n}-of-many`]),
  );
  assert.equal(redactor.learn(3, many, { all: true }), 3);
  assert.equal(redactor.text('value-0-of-many'), HIDDEN);
});

test('no value that was learnt is ever left in a text, whatever signs it has', () => {
  const secret = fc.string({ unit: 'binary', minLength: 6, maxLength: 30 });
  fc.assert(
    fc.property(
      fc.array(secret, { minLength: 1, maxLength: 5 }),
      fc.string({ unit: 'binary' }),
      (secrets, text) => {
        const redactor = knowing(Object.fromEntries(secrets.map((one, index) => [`TOKEN_${index}`, one])));
        for (const one of secrets) {
          assert.ok(!redactor.text(`${text}|${one}|${text}`).includes(`|${one}|`));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('a long text without end does not take long', () => {
  const redactor = new Redactor();
  const text = `${'http://a:'.repeat(20_000)}${'x'.repeat(100_000)}`;
  assert.equal(redactor.text(text), text);
});
