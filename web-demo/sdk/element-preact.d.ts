// `import 'tallycast/element/preact'` is `tallycast/element`, and Preact knows the element's attributes.

import type { HTMLAttributes } from 'preact';
import type { GroupCounter, GroupCounterAttributes } from './element.js';

export * from './element.js';

declare module 'preact' {
  namespace JSX {
    interface IntrinsicElements {
      'group-counter': HTMLAttributes<GroupCounter> & GroupCounterAttributes;
    }
  }
}
