import { expect, test } from 'vitest';
import { createRowBudget } from '../../../projectors/row-budget.ts';

test('rows wait until they fit, in their order, and too many go alone', async () => {
  const budget = createRowBudget(10);
  const order: string[] = [];
  const take = async (name: string, rows: number) => {
    const giveBack = await budget.take(rows);
    order.push(name);
    return giveBack;
  };
  const first = await take('first', 6);
  const big = take('big', 50);
  const small = take('small', 1);
  await Promise.resolve();
  expect(order).toEqual(['first']);
  first();
  const backOfBig = await big;
  expect(order).toEqual(['first', 'big']);
  backOfBig();
  (await small)();
  expect(order).toEqual(['first', 'big', 'small']);
});
