// What stands in front of a screen: the palette, the help, the question for a new session. Screens may ask for one.

export type Front = 'palette' | 'help' | 'new';

class ShellState {
  open = $state<Front | null>(null);
  /** The agent that a new session is meant for, if whoever asked knows. */
  agent = $state('');
  /** What the screen shows, for the title of the page: a session's title. Empty if its own name says enough. */
  subject = $state('');

  ask(what: Front, agent = ''): void {
    this.open = what;
    this.agent = agent;
  }

  /** Name what a screen shows for as long as it does: `$effect(() => shell.names(title))`. */
  names(subject: string): () => void {
    this.subject = subject;
    return () => {
      this.subject = '';
    };
  }

  close = (): void => {
    this.open = null;
  };
}

export const shell = new ShellState();
