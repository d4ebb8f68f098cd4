// `import 'tallycast/element/svelte'` is `tallycast/element`, and Svelte knows the element's attributes.

import type { HTMLAttributes } from 'svelte/elements';
import type { GroupCounter, GroupCounterAttributes } from './element.js';

export * from './element.js';

declare module 'svelte/elements' {
  interface SvelteHTMLElements {
    'group-counter': HTMLAttributes<GroupCounter> & GroupCounterAttributes;
  }
}
