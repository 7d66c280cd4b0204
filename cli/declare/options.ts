import { InvalidArgumentError, Option } from 'commander';

export const positiveInteger = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number above 0');
  return Number(text);
};
export const json = new Option('--json', 'machine-readable output');
