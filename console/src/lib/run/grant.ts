// A grant in rows that people read, and approval rules in words.

import type { Grant, ToolOfGrant } from './types';

export interface GrantRow {
  name: string;
  /** `name` is what a reduction calls it. */
  values: { name: string; text: string }[];
}

export function grantRows(grant: Grant): GrantRow[] {
  const named = (prefix: string, names: readonly string[] = []) => names.map((text) => ({ name: `${prefix}:${text}`, text }));
  const scopes = grant.state?.enabled ? grant.state.scopes : [];
  const rows: GrantRow[] = [
    { name: 'Abilities', values: named('api', grant.apis) },
    { name: 'State', values: named('state', scopes) },
    { name: 'Storage', values: named('storage', grant.storage) },
  ];
  for (const [kind, names] of Object.entries(grant.resources ?? {})) {
    const may = grant.operations?.[kind];
    const title = kind.replaceAll('_', ' ') + (may && may[0] !== '*' ? ` (${may.join(', ')})` : '');
    rows.push({ name: title, values: named(kind, names) });
  }
  return rows;
}

const COMPARISONS: Record<string, string> = {
  eq: 'is', ne: 'isn’t', in: 'is one of', not_in: 'is none of', gt: 'is over', ge: 'is at least', lt: 'is under', le: 'is at most', matches: 'matches',
};

/** When a person is asked before a tool is called. */
export function ruleInWords(rule: ToolOfGrant['approval']): string {
  if (!rule) return 'never';
  if (rule.always) return 'always';
  const when = rule.when;
  if (typeof when !== 'object' || when === null) return Object.keys(rule).length ? JSON.stringify(rule) : 'never';
  const conditions = Object.entries(when).flatMap(([argument, condition]) =>
    typeof condition === 'object' && condition !== null
      ? Object.entries(condition).map(([how, value]) => `${argument} ${COMPARISONS[how] ?? how} ${JSON.stringify(value)}`)
      : [],
  );
  return conditions.length ? `when ${conditions.join(' and ')}` : 'never';
}
