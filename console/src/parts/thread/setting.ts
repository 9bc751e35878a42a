// What the lines of a thread need to know of where they stand.

export interface Setting {
  agent: string;
  /** Who looks. */
  me: string | null;
  /** Whether they may decide, and change things, here and now. */
  may: boolean;
  file: (id: string) => { href: string; name: string };
  /** The key of the undo that a redo would put back. */
  redo: string | null;
  redoLast: () => void;
  /** The run that may be tried again. */
  retryable: string | null;
  retry: (runId: string) => void;
}
