import { mount } from 'svelte';
import '../../styles/base.css';
import Kiosk from './Kiosk.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(Kiosk, { target });
