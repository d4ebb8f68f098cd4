// `import 'tallycast/element/react'` is `tallycast/element`, and React knows the element's attributes.

import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type { GroupCounter, GroupCounterAttributes } from './element.js';

export * from './element.js';

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'group-counter': DetailedHTMLProps<HTMLAttributes<GroupCounter>, GroupCounter> & GroupCounterAttributes;
    }
  }
}
