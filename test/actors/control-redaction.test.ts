/** Redaction: values that are secrets are found by their name and then anywhere; what is innocent stays readable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HIDDEN, isSecretName, Redactor } from '../../src/actors/redaction.ts';

function knowing(variables: Record<string, string>, all = false): Redactor {
  const redactor = new Redactor();
  redactor.learn(variables, { all });
  return redactor;
}

describe('names of secrets', () => {
  for (const name of [
    'PASSWORD',
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
  ])
    test(`not ${name}`, () => assert.equal(isSecretName(name), false));
});

test('a value is hidden wherever it is quoted', () => {
  const redactor = knowing({ DB_PASSWORD: 'hunter22' });
  assert.equal(redactor.text('login with hunter22, or "hunter22"'), `login with ${HIDDEN}, or "${HIDDEN}"`);
});

test('of the surroundings only values with the name of a secret are; of `env` all but those everybody knows', () => {
  const variables = { REGION: 'eu-central-1', NODE_ENV: 'production', KIRIN_WORKERS: 'auto-auto' };
  assert.equal(knowing(variables).text('eu-central-1'), 'eu-central-1');
  assert.equal(knowing(variables, true).text('eu-central-1'), HIDDEN);
  assert.equal(knowing(variables, true).text('production auto-auto'), 'production auto-auto');
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
  redactor.learn({ B_TOKEN: 'second-one', UNSET: undefined }, { all: false });
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

test('in JSON texts are redacted, and fields with the name of a secret hidden; everything else is as it was', () => {
  const redactor = knowing({ A_TOKEN: 'hunter22' });
  const value = {
    pid: 7,
    list: ['a hunter22', 3, null, true],
    inner: { password: 'x', api_key: '', token: 5, bind: 'tcp' },
  };
  assert.deepEqual(JSON.parse(JSON.stringify(value, redactor.replacer)), {
    pid: 7,
    list: [`a ${HIDDEN}`, 3, null, true],
    inner: { password: HIDDEN, api_key: '', token: 5, bind: 'tcp' },
  });
});

test('the fields of a log line are redacted too', () => {
  const redactor = knowing({ A_TOKEN: 'hunter22' });
  assert.deepEqual(redactor.fields({ stack: 'at hunter22', addresses: ['hunter22'], pid: 3, cookie: 'c' }), {
    stack: `at ${HIDDEN}`,
    addresses: [HIDDEN],
    pid: 3,
    cookie: HIDDEN,
  });
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
          const redacted = JSON.stringify({ text: `${text}|${one}|${text}` }, redactor.replacer);
          assert.ok(!(JSON.parse(redacted) as { text: string }).text.includes(`|${one}|`));
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
