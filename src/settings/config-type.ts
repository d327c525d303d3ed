/** The type of what a configuration file exports, derived from the table of settings: `config.ts` beside it. Runs in `npm run settings`. */
import { camel } from './camel.ts';
import { fileKeysOf, type Kind, type Setting, settingList, variableOf } from './table.ts';

const HEAD = `/** What a configuration file may set. Made from the table of settings by \`npm run settings\`; runs nowhere. */

/** Keys as JavaScript writes them; \`Config\` has the other spellings. Each setting may be written once. */
export interface ConfigKeys {
  /** MODULE[:EXPORT]; the command line has the last word. */
  app?: string;
`;

export function configType(): string {
  const members = settingList.flatMap((setting) => [
    `  /** ${documentation(setting)} */`,
    `  ${camel(setting.name)}?: ${typeOf(setting.type)};`,
  ]);
  const others = settingList.flatMap((setting) => {
    const [key, ...rest] = [...new Set(fileKeysOf(setting).map(camel))];
    return rest.map((other) => `  ${other}: '${key}';`);
  });
  return `${HEAD}${members.join('\n')}\n}\n\n/** Other names of the same. */\nexport interface OtherKeys {\n${others.join('\n')}\n}\n`;
}

/** What an editor shows: the text of the help, then default, flag and variable. */
function documentation(setting: Setting): string {
  const { text, defaultText, flag, reloadable } = setting;
  const by = defaultText === undefined ? '' : ` Default: ${defaultText}.`;
  const names = [`\`--${flag}\``, ...(variableOf(setting) ? [`\`${variableOf(setting)}\``] : [])];
  return `${text}.${by} ${names.join(', ')}.${reloadable ? '' : ' A change needs a restart.'}`
    .replaceAll('*/', '*\\/')
    .replaceAll(/\.\.(?= |$)/g, '.');
}

function typeOf(type: Kind): string {
  switch (type.kind) {
    case 'path':
    case 'text':
    case 'token':
    case 'label':
      return 'string';
    case 'count':
    case 'seconds':
      return 'number';
    case 'workers':
      return "number | 'auto'";
    case 'choice':
      return type.of.map((one) => `'${one}'`).join(' | ');
    case 'surge':
      return `number | \`\${number}%\``;
    case 'bytes':
    case 'mode':
      return 'number | string';
    case 'switch':
      return 'boolean';
    case 'addresses':
      return 'number | string | (number | string)[]';
    case 'endpoint':
      return 'boolean | number | string';
    case 'paths':
    case 'texts':
    case 'words':
      return 'string | string[]';
    case 'amounts':
      return 'Record<string, number> | string | string[]';
    case 'pairs':
      return 'Record<string, string> | string | string[]';
  }
}
