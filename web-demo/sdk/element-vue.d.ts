// `import 'tallycast/element/vue'` is `tallycast/element`, and Vue knows the element's attributes.

import type { HTMLAttributes, PublicProps } from 'vue';
import type { GroupCounter, GroupCounterAttributes } from './element.js';

export * from './element.js';

declare module 'vue' {
  interface GlobalComponents {
    'group-counter': new () => GroupCounter & { $props: HTMLAttributes & PublicProps & GroupCounterAttributes };
  }
}
