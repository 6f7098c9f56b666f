// The module that the server writes (docs/tablet.md).
export const VERSION: string;
export const APP: string;
