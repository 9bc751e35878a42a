import { mount } from 'svelte';
import App from './App.svelte';
import { preferences } from './lib/preferences.svelte';
import { router } from './lib/router.svelte';
import { SCREENS, screenAt } from './lib/screens';
import { offerUpgrades } from './lib/upgrade';
import './styles/base.css';

preferences.apply();
offerUpgrades();
// The screen is fetched while the host is asked who is there. If that fails, opening it says so.
void SCREENS[screenAt(router.at)]?.load().catch(() => undefined);
const target = document.getElementById('app');
if (target) mount(App, { target });
