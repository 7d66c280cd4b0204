import { parseLsn, toLsnText } from '../changes/lsn.ts';
import type { TimelineSwitch } from './position.ts';

/** A timeline history file: the timelines that this one came from, oldest first, each with the LSN at which it was left. */
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
