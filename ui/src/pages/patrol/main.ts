import { mount } from 'svelte';
import '../../styles/base.css';
import Patrol from './Patrol.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(Patrol, { target });
