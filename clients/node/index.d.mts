// The same types for import.
export * from './index.js';
export { racefree as default } from './index.js';
