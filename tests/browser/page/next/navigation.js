// Outside of Next.js its own hooks answer null as well.
const nothing = () => null;

export { nothing as usePathname, nothing as useRouter, nothing as useSearchParams };
