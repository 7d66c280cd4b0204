import { expect, it } from 'vitest';
import { parseCpuSeconds, parsePeakMiB } from '../../../bench/process-text.ts';

const stat = '4242 (node (a) b) S 1 4242 4242 0 -1 4194304 100 200 0 0 1500 250 30 20 20 0 11 0 5000 1000 200';

it('adds user and system time, past a name with parentheses and spaces', () => {
  expect(parseCpuSeconds(stat, 100)).toBe(17.5);
});

it('adds the time of ended children when asked', () => {
  expect(parseCpuSeconds(stat, 100, true)).toBe(18);
});

it('reads the peak, not the present size', () => {
  expect(parsePeakMiB('Name:\tnode\nVmPeak:\t  999999 kB\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n')).toBe(200);
});

it('refuses other text', () => {
  expect(() => parseCpuSeconds('', 100)).toThrow('/proc/<pid>/stat');
  expect(() => parsePeakMiB('VmRSS:\t 1 kB')).toThrow('/proc/<pid>/status');
});
