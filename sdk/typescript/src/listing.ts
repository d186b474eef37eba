import type { PaginatedResponse } from './types.js';

/**
 * All items of a list, read page by page: `for await` sees them as they come, `await` collects them in an array. Each use reads the list
 * anew.
 */
export class Listing<T extends { id: string }> implements AsyncIterable<T>, PromiseLike<T[]> {
  readonly #page: (page: number) => Promise<PaginatedResponse<T>>;

  constructor(page: (page: number) => Promise<PaginatedResponse<T>>) {
    this.#page = page;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    // What is added meanwhile pushes items to the next page; none is given twice.
    const seen = new Set<string>();
    for (let n = 1; ; n++) {
      const { data, limit } = await this.#page(n);
      for (const item of data) {
        if (seen.has(item.id)) continue;
        seen.add(item.id);
        yield item;
      }
      if (data.length < limit) return;
    }
  }

  then<A = T[], B = never>(
    onFulfilled?: ((items: T[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#all().then(onFulfilled, onRejected);
  }

  async #all(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) items.push(item);
    return items;
  }
}
