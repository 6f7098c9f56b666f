// What the server writes at the head of sw.js (docs/tablet.md).
declare const VERSION: string;
declare const FILES: [name: string, integrity: string, tag: string][];
declare const LATER: [name: string, integrity: string, tag: string][];
