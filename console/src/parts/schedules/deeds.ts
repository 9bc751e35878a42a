// What people do with a schedule that stands.

import { post, remove } from '../../lib/api';
import { notices } from '../../lib/notices.svelte';
import { router } from '../../lib/router.svelte';
import { who } from '../../lib/who.svelte';
import type { OccurrenceInfo, ScheduleInfo } from './types';

const path = (schedule: ScheduleInfo): string => `/v1/schedules/${schedule.id}`;

/** It acts with its maker’s rights, so its maker, operators and admins direct it. The host decides again. */
export const mayDirect = (schedule: ScheduleInfo): boolean => who.may('write') && (who.seesOthers || who.am?.user === schedule.owner);

export const pause = (schedule: ScheduleInfo): Promise<boolean> =>
  notices.attempt(() => post(`${path(schedule)}/pause`), 'Paused. Nothing of it comes until it is resumed.');

export const resume = (schedule: ScheduleInfo): Promise<boolean> => notices.attempt(() => post(`${path(schedule)}/resume`), 'Resumed.');

export const cancel = (schedule: ScheduleInfo): Promise<boolean> =>
  notices.attempt(() => remove(path(schedule)), 'Cancelled. Its history stays readable.');

export async function trigger(schedule: ScheduleInfo): Promise<boolean> {
  return notices.attempt(async () => {
    const { session_id: session } = await post<OccurrenceInfo>(`${path(schedule)}/trigger`);
    notices.say('Asked for. It comes now, whatever the time.', session ? { label: 'Open', run: () => router.go(`/sessions/${session}`) } : undefined);
  });
}
