/** The reference of the settings, docs/settings.md, derived from their table. Runs in `npm run settings`. */
import { fileKeysOf, type Kind, type Setting, settingList, variableOf, WORKERS_MAX } from './table.ts';

const HEAD = `# Settings

Made from the table in \`src/settings/table.ts\` by \`npm run settings\`; a test sees to it that it is current.

A value is taken from the command line, else from the environment (\`KIRIN_CMD_ARGS\`, which holds options as one would type them,
before the variable of the setting), else from the configuration file, else from what the platform says (\`$PORT\`,
\`$WEB_CONCURRENCY\`), else it is the default. \`kirin --print-config\` prints what would be in force and where each value comes
from, \`kirin --check-config\` loads the app as well and says whether it could be served, and \`kirinc -c "show config origin"\` tells of
a server that runs.

The file is \`kirin.config.{ts,mts,js,mjs,cjs,json}\` in the directory of the app (\`--chdir\`) or the one that is named by \`-c\`; it exports an object,
or a function that makes one and is given what was typed (\`({ app, options }) => …\`, where \`options.workers\` is the text behind \`-w\`,
without values of \`env\` and without tokens). Its keys are those of the last column, in snake_case or camelCase, but each setting once. \`app\` names
the app there. A relative path is taken from where it is written: the file's directory, or the one that Kirin was started in.
\`defineConfig\` of \`kirin\` types a file, and lets an editor complete it: \`export default defineConfig({ workers: 'auto' })\`.

What is unknown, or contradicts something else, is one line that names the nearest setting, and exit code 2. Settings of Gunicorn's that
have no meaning here are refused with the reason: [not-applicable.md](not-applicable.md). So is a \`KIRIN_…\` variable that is nearly one of
these, and none; others are left alone.

What a reload (HUP) cannot change is marked "restart"; a reload that finds it changed says so and goes on with the old value.
`;

export function settingsReference(): string {
  const groups = [...new Set(settingList.map(({ group }) => group))];
  return [HEAD, ...groups.map(section)].join('\n');
}

function section(group: string): string {
  const rows = settingList.filter((setting) => setting.group === group).map(row);
  const lines = [
    '| Setting | Takes | Default | Meaning | Reload | Variable | Key |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ];
  return `## ${group}\n\n${lines.join('\n')}\n`;
}

function row(setting: Setting): string {
  const variables = [variableOf(setting), setting.fieldVariable].filter((name) => name !== undefined);
  const cells = [
    [
      ...(setting.letter ? [`-${setting.letter}`] : []),
      `--${setting.flag}`,
      ...(setting.aliases ?? []).map((flag) => `--${flag}`),
    ]
      .map(code)
      .join(', '),
    taken(setting.type),
    setting.defaultText ?? (setting.type.kind === 'switch' ? 'off' : 'none'),
    setting.text,
    setting.reloadable ? 'yes' : 'restart',
    variables.map(code).join(', ') || 'none',
    fileKeysOf(setting).map(code).join(', '),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const UNITS = ['', 'K', 'M', 'G'];

/** As one would write it: `64K`. */
function sizeOf(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size > 0 && size % 1024 === 0 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return code(`${size}${UNITS[unit]}`);
}

const code = (text: string): string => `\`${text}\``;

/** What a value looks like, with its unit and bounds. */
function taken(type: Kind): string {
  switch (type.kind) {
    case 'path':
      return type.stdio ? 'a path, or `-`' : 'a path';
    case 'count':
      return `a whole number, ${type.min} to ${type.max.toLocaleString('en')}`;
    case 'workers':
      return `a whole number, 1 to ${WORKERS_MAX.toLocaleString('en')}, or \`auto\``;
    case 'seconds':
      return `seconds, ${type.min} to ${type.max.toLocaleString('en')}, decimals allowed`;
    case 'choice':
      return type.of.map(code).join(', ');
    case 'surge':
      return 'a whole number, or a share such as `25%`';
    case 'bytes':
      return `bytes, ${sizeOf(type.min)} to ${sizeOf(type.max)}${type.auto ? ', or `auto`' : ''}`;
    case 'mode':
      return 'permissions, octal, 0 to 0777';
    case 'label':
      return `a text of at most ${type.lengthMax} characters`;
    case 'switch':
      return 'nothing; in a file `true` or `false`';
    case 'addresses':
      return 'addresses';
    case 'endpoint':
      return `\`HOST:PORT\`${type.unix ? ', `unix:PATH`' : ''} or \`PORT\`; bare: ${code(type.byDefault)}`;
    case 'text':
      return `a text of up to ${type.lengthMax} characters`;
    case 'token':
      return `a word of ${type.lengthMin} to ${type.lengthMax} characters`;
    case 'paths':
      return 'paths';
    case 'texts':
    case 'words':
      return 'texts';
    case 'amounts':
      return '`NAME=N` pairs';
    case 'pairs':
      return '`NAME=VALUE` pairs';
  }
}
