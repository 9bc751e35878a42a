// What this browser remembers: the look, drafts, filters. Nothing secret, and nothing that the host needs.

export type Theme = 'system' | 'light' | 'dark';

function read<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`tenure.${name}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

function write(name: string, value: unknown): void {
  try {
    if (value === null || value === '') localStorage.removeItem(`tenure.${name}`);
    else localStorage.setItem(`tenure.${name}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}

class Preferences {
  theme = $state<Theme>(read<Theme>('theme', 'system'));

  setTheme(theme: Theme): void {
    this.theme = theme;
    write('theme', theme);
    this.apply();
  }

  apply(): void {
    const { dataset } = document.documentElement;
    if (this.theme === 'system') delete dataset.theme;
    else dataset.theme = this.theme;
  }
}

export const preferences = new Preferences();
export const kept = { read, write };
