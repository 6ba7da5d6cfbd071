import { mount } from 'svelte';
import '../../styles/base.css';
import Start from './Start.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(Start, { target });
