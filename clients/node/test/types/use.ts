// Compiled, never run: what the types allow, and what they refuse.

import racefree, { InsufficientFunds, NO_FLOOR, RacefreeError, Booked } from 'racefree';

declare const pool: {
  query(query: { text: string; values: unknown[] }): Promise<{ rows: any[] }>;
  connect(): Promise<{
    query(query: string | { text: string; values: unknown[] }): Promise<{ rows: any[] }>;
    release(error?: Error): void;
  }>;
};

export async function use(): Promise<string> {
  const rf = racefree(pool, { accounts: 'account', journal: ['public', 'payment'], maxBatch: 100 });

  try {
    const booked: Booked = await rf.transfer({
      from: 1,
      to: 2n,
      amount: '1.50',
      minBalance: NO_FLOOR,
      requestId: 'a',
    });
    const hold = await rf.hold({ from: 1, to: 2, amount: 5, expiresAt: new Date() });

    await rf.post({ entryId: hold.entryId!, amount: '2', final: false, beyond: true });
    await rf.void({ entryId: 7n });
    await rf.reverse({ entryId: booked.entryId!, amount: '0.50' });
  } catch (error) {
    if (error instanceof InsufficientFunds || (error instanceof RacefreeError && error.uncertain))
      return error.requestId ?? '';
    throw error;
  }

  const { object, created } = await rf.getOrCreate<{ id: number; email: string }>(
    'user',
    { email: 'x' },
    { name: 'y' },
  );
  const many = await rf.getOrCreateMany('user', [{ email: 'x' }], ['email']);
  const email: string = created ? object.email : many[0].object.email;

  await rf.updateOrCreate('user', { email }, {}, { createDefaults: { name: 'z' } });
  await rf.ready();
  await rf.flush();
  await rf.close();
  return rf.retry(
    async (client) => {
      await rf.transfer({ from: 1, to: 2, amount: 1 }, { client });
      return String(rf.stats().meanBatch);
    },
    { isolation: 'serializable' },
  );
}

export function refused(): void {
  const rf = racefree(pool);

  // @ts-expect-error: the amount is missing
  rf.transfer({ from: 1, to: 2 });
  // @ts-expect-error: no such name
  rf.transfer({ from: 1, to: 2, amount: 1, minbalance: 0 });
  // @ts-expect-error: null switches nothing off
  rf.transfer({ from: 1, to: 2, amount: 1, minBalance: null });
  // @ts-expect-error: not a level
  rf.retry(() => 1, { isolation: 'chaos' });
  // @ts-expect-error: no such option
  racefree(pool, { lane: 1 });
}
