// The same from a module that node loads by import.

import racefree, * as all from 'racefree';

export const same: typeof all.racefree = racefree;
export const failed = (error: unknown): boolean => error instanceof all.InsufficientFunds;
