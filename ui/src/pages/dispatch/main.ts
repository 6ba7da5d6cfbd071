import { mount } from 'svelte';
import '../../styles/base.css';
import Dispatch from './Dispatch.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(Dispatch, { target });
