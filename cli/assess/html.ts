/** Markup that needs no escaping. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | readonly Html[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes a text for content and quoted attributes. Replaces control characters, which are invalid in both. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!).replace(/[^\P{Cc}\n\t]/gu, '\ufffd');
}

/** A markup template: every part that is not markup is escaped. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    strings
      .map((string, at) => {
        const part = parts[at];
        if (part === undefined) return string;
        if (part instanceof Html) return `${string}${part.text}`;
        if (Array.isArray(part)) return `${string}${(part as readonly Html[]).map(({ text }) => text).join('')}`;
        return `${string}${escapeHtml(String(part))}`;
      })
      .join(''),
  );
}
