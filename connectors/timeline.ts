import { parseLsn, toLsnText } from '../changes/lsn.ts';
import type { TimelineSwitch } from './position.ts';

/** Parses a timeline history file: the ancestor timelines, oldest first, each with the LSN of its end. */
export function parseTimelineHistory(content: string): TimelineSwitch[] {
  return content
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [timeline = '', lsn = ''] = line.split(/\s+/);
      if (!/^\d+$/.test(timeline)) throw new Error('not a timeline history');
      return { timeline: Number(timeline), lsn: toLsnText(parseLsn(lsn)) };
    });
}
