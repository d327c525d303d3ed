/** Settings as they are written in a configuration file, for those who show them. Values of `env` are hidden. */
import { basename } from 'node:path';
import { HIDDEN, isSecretName } from '../actors/redaction.ts';
import { originOf, type Settings } from '../settings.ts';
import { type Setting, type SettingKey, settingList } from './table.ts';

export interface ShownSetting {
  name: string;
  value: unknown;
  /** Where it came from: a flag, a variable, a key of a file, or `default`. */
  origin: string;
  /** Shown to everybody. */
  public: boolean;
}

/** Every setting by Gunicorn's name, the app first, then in the order of the table. */
export function shownSettings(settings: Settings): ShownSetting[] {
  const app = { name: 'app', value: settings.app, origin: originOf(settings, 'app'), public: false };
  const others = settingList.map((setting) => ({
    name: setting.name,
    value: shownValue(setting, settings[setting.key as SettingKey]),
    origin: originOf(settings, setting.key),
    public: setting.public === true,
  }));
  const { hooks } = settings;
  const called = (hooks?.names ?? []).map((name) => ({
    name,
    value: 'function',
    origin: `"${name}" in ${basename(hooks!.file)}`,
    public: false,
  }));
  return [app, ...others, ...called];
}

function shownValue({ name, type }: Setting, value: unknown): unknown {
  if (value === undefined) return null;
  if (isSecretName(name)) return HIDDEN;
  switch (type.kind) {
    case 'seconds':
      return (value as number) / 1000;
    case 'mode':
      return `0${(value as number).toString(8).padStart(3, '0')}`;
    case 'surge':
      return surgeText(value as Settings['maxSurge']);
    case 'pairs':
      if (name !== 'raw_env') return value;
      return Object.fromEntries(Object.keys(value as object).map((variable) => [variable, HIDDEN]));
    default:
      return value;
  }
}

const surgeText = (surge: Settings['maxSurge']): unknown =>
  'count' in surge ? surge.count : `${surge.percent}%`;
