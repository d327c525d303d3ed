import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressesOverlap, formatAddress, parseAddress } from '../../src/actors/address.ts';
import { faultOf } from './support.ts';

describe('an address in its one form', () => {
  const forms: [string, string][] = [
    ['8000', '127.0.0.1:8000'],
    ['0', '127.0.0.1:0'],
    [' 127.0.0.1:8000 ', '127.0.0.1:8000'],
    [':8000', '0.0.0.0:8000'],
    ['0.0.0.0:80', '0.0.0.0:80'],
    ['localhost:8000', 'localhost:8000'],
    ['LOCALHOST:08000', 'localhost:8000'],
    ['my_host-1.example.com:1', 'my_host-1.example.com:1'],
    ['[::1]:8000', '[::1]:8000'],
    ['[0:0:0:0:0:0:0:1]:8000', '[::1]:8000'],
    ['[2001:DB8::1]:65535', '[2001:db8::1]:65535'],
    ['[fe80::1%eth0]:80', '[fe80::1%eth0]:80'],
    ['unix:/run/app.sock', 'unix:/run/app.sock'],
    ['unix:app.sock', 'unix:/srv/app.sock'],
    ['unix:///run//app.sock', 'unix:/run/app.sock'],
    ['fd://3', 'fd://3'],
    ['unix:a.sock?mode=660', 'unix:/srv/a.sock?mode=0660'],
    ['unix:/a?mode=0o0&group=www-data', 'unix:/a?mode=0000&group=www-data'],
    ['unix:/a?group=33&mode=0777', 'unix:/a?mode=0777&group=33'],
  ];
  for (const [typed, shown] of forms)
    test(`${typed} is ${shown}`, () => {
      const address = parseAddress(typed, '/srv');
      assert.equal(formatAddress(address), shown);
      assert.deepEqual(parseAddress(shown, '/elsewhere'), address, 'and that form reads as itself');
    });
});

describe('an address that cannot be', () => {
  const wrong: [string, RegExp][] = [
    ['', /HOST:PORT/],
    ['8000x', /a port is a whole number from 0 to 65535, not "8000x"/],
    ['foo', /the port is missing, as in foo:8000/],
    ['[::1]', /the port is missing, as in \[::1\]:8000/],
    ['::1', /needs brackets and a port, such as \[::1\]:8000/],
    ['[127.0.0.1]:80', /is not an IPv6 address/],
    ['127.0.0.1:65536', /0 to 65535, not "65536"/],
    ['70000', /0 to 65535/],
    ['127.0.0.1:', /0 to 65535/],
    ['127.0.0.1:http', /0 to 65535, not "http"/],
    ['127.0.0.1:-1', /0 to 65535/],
    ['999.1.1.1:80', /neither an IP address nor a host name/],
    ['a b:80', /neither/],
    ['-x:80', /neither/],
    ['http://localhost:80', /without "http:\/\/"/],
    ['tcp://localhost:80', /without "tcp:\/\/"/],
    ['::1:9242', /needs brackets and a port, such as \[::1\]:9242$/],
    ['[::1', /stands in brackets, with a port behind them/],
    ['-1', /0 to 65535, not "-1"/],
    ['fd:3', /fd:\/\/N/],
    ['fd://x', /fd:\/\/N/],
    ['unix:', /unix:PATH/],
    ['unix:/run/', /unix:PATH/],
    ['unix:?mode=0660', /unix:PATH/],
    ['unix:/a?', /stand mode and group, not ""/],
    ['unix:/a?mod=0660', /stand mode and group, not "mod"/],
    ['unix:/a?mode=0660&mode=0600', /mode is given twice/],
    ['unix:/a?mode=', /mode is octal, from 0 to 0777, such as 0660, not ""/],
    ['unix:/a?mode=0888', /mode is octal.*not "0888"/],
    ['unix:/a?mode=1777', /mode is octal.*not "1777"/],
    ['unix:/a?group=', /"" is no name of a group/],
    ['unix:/a?group=a b', /"a b" is no name of a group/],
    [`unix:/${'x'.repeat(200)}`, /at most \d+ bytes/],
  ];
  for (const [typed, message] of wrong)
    test(JSON.stringify(typed.slice(0, 40)), () => {
      assert.throws(() => parseAddress(typed), faultOf('settings.invalid', message));
    });
});

describe('two addresses claim the same connections', () => {
  const matrix: [string, string, boolean][] = [
    ['0.0.0.0', '127.0.0.1', true],
    ['0.0.0.0', '0.0.0.0', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['::', '127.0.0.1', true],
    ['::', '0.0.0.0', true],
    ['::', '::1', true],
    ['::1', '127.0.0.1', false],
    ['::1', '0.0.0.0', false],
    ['::ffff:127.0.0.1', '127.0.0.1', true],
    ['::ffff:127.0.0.1', '0.0.0.0', true],
  ];
  for (const [a, b, overlap] of matrix)
    test(`${a} and ${b}: ${overlap ? 'yes' : 'no'}`, () => {
      const at = (host: string, port = 80) => ({ host, port });
      assert.equal(addressesOverlap(at(a), at(b)), overlap);
      assert.equal(addressesOverlap(at(b), at(a)), overlap);
      assert.equal(addressesOverlap(at(a), at(b, 81)), false, 'never on another port');
      assert.equal(addressesOverlap(at(a, 0), at(b, 0)), false, 'never where the system chooses the port');
    });

  test('an IPv6 wildcard leaves IPv4 alone where it is for IPv6 only', () => {
    const at = (host: string) => ({ host, port: 80, ipv6Only: true });
    assert.equal(addressesOverlap(at('::'), at('127.0.0.1')), false);
    assert.equal(addressesOverlap(at('0.0.0.0'), at('::')), false);
    assert.equal(addressesOverlap(at('::'), at('::1')), true);
  });
});
