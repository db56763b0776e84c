"""What a symbol says about its currencies."""

# Longest first, so that BTCFDUSD is BTC in FDUSD and not BTCFD in USD.
QUOTES = tuple(
    sorted(
        ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "TRY", "BRL",
         "BTC", "ETH", "BNB", "SOL", "XRP"),
        key=len,
        reverse=True,
    )
)  # fmt: skip


def split_symbol(symbol: str, default_quote: str) -> tuple[str, str]:
    """Return (base, quote) of a symbol.

    `ETH/USDT:USDT` and `ETH-USDT` say it themselves; `ETHUSDT` is cut at a known quote currency;
    anything else, such as a share, is the base and is quoted in `default_quote`.
    """
    pair = symbol.partition(":")[0]
    for separator in ("/", "-", "_"):
        if separator in pair:
            base, _, rest = pair.partition(separator)
            return base, rest.partition(separator)[0]
    for quote in QUOTES:
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair[: -len(quote)], quote
    return pair, default_quote
