// keep-fresh.js as a React hook. React is passed in, so the file works unbundled as well as copied into a bundle:
//   const useFreshToken = createUseFreshToken(React);
//   const accessToken = useFreshToken({ refreshUrl, accessToken: tokenFromMyBackend });
import { keepFresh } from "./keep-fresh.js";

export const createUseFreshToken = ({ useEffect, useState }) =>
  function useFreshToken({ refreshUrl, accessToken, accessTokenExpiresAt, margin }) {
    const [held, setHeld] = useState({ given: accessToken, token: accessToken });
    useEffect(() => {
      if (!accessToken) return undefined;
      const onToken = (token) => setHeld({ given: accessToken, token });
      return keepFresh({ refreshUrl, accessToken, accessTokenExpiresAt, margin, onToken }).stop;
    }, [refreshUrl, accessToken, accessTokenExpiresAt, margin]);
    return held.given === accessToken ? held.token : accessToken;
  };
