//! The generators by name, in the order of the modules they come from.

use ::fake::Fake;
use ::fake::faker::{
    address::en as address, company::en as company, currency::en as currency,
    internet::en as internet,
};
use rand::RngExt;

use super::draw::{ALPHA, ALPHANUMERIC, Draw, UPPER, capitalised};
use super::words;
use crate::calendar::Moment;
use crate::javascript;

const SYMBOLS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const PRINTABLE: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}";
const NANOID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const PASSWORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
const BASE_58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const VIN: &str = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";

/// What makes a function's text.
type Make = fn(&mut Draw<'_>) -> String;

pub(super) const GENERATORS: [(&str, Make); 244] = [
    ("datatypeBoolean", |draw| draw.chance(50).to_string()),
    ("dateMonth", |draw| draw.pick(&words::MONTHS)),
    ("dateWeekday", |draw| draw.pick(&words::WEEKDAYS)),
    ("dateTimeZone", |draw| draw.pick(&words::TIME_ZONES)),
    ("dateAnytime", |draw| draw.date(-365, 365)),
    ("datePast", |draw| dated(draw, "years", -365)),
    ("dateFuture", |draw| dated(draw, "years", 365)),
    ("dateBetween", |draw| date_between(draw)),
    ("dateBetweens", |draw| {
        let count = draw.number_option("count").unwrap_or(3.0).clamp(0.0, 100.0) as usize;
        draw.repeat(count, ",", date_between)
    }),
    ("dateRecent", |draw| dated(draw, "days", -1)),
    ("dateSoon", |draw| dated(draw, "days", 1)),
    ("dateBirthdate", |draw| draw.date(-80 * 365, -18 * 365)),
    ("locationZipCode", |draw| {
        if draw.chance(50) {
            draw.pattern("#####")
        } else {
            draw.pattern("#####-####")
        }
    }),
    ("locationCity", |draw| {
        address::CityName().fake_with_rng(draw.rng)
    }),
    ("locationBuildingNumber", |draw| {
        let length = draw.between(3, 5) as usize;
        draw.pattern(&"!####"[..length])
    }),
    ("locationStreet", |draw| street(draw)),
    ("locationStreetAddress", |draw| street_address(draw)),
    ("locationPostalAddress", |draw| postal_address(draw)),
    ("locationSecondaryAddress", |draw| {
        draw.pick(&["Apt. ", "Suite "]) + &draw.pattern("!##")
    }),
    ("locationCounty", |draw| draw.pick(&words::COUNTIES)),
    ("locationCountry", |draw| {
        address::CountryName().fake_with_rng(draw.rng)
    }),
    ("locationContinent", |draw| draw.pick(&words::CONTINENTS)),
    ("locationCountryCode", |draw| {
        address::CountryCode().fake_with_rng(draw.rng)
    }),
    ("locationState", |draw| {
        address::StateName().fake_with_rng(draw.rng)
    }),
    ("locationDirection", |draw| {
        if draw.chance(50) {
            draw.pick(&words::CARDINALS)
        } else {
            draw.pick(&words::ORDINALS)
        }
    }),
    ("locationCardinalDirection", |draw| {
        draw.pick(&words::CARDINALS)
    }),
    ("locationOrdinalDirection", |draw| {
        draw.pick(&words::ORDINALS)
    }),
    ("locationTimeZone", |draw| draw.pick(&words::TIME_ZONES)),
    ("locationLanguage", |_| object()),
    ("locationLatitude", |draw| bounded(draw, -90.0, 90.0, 4)),
    ("locationLongitude", |draw| bounded(draw, -180.0, 180.0, 4)),
    ("locationNearbyGPSCoordinate", |draw| {
        format!(
            "{},{}",
            draw.decimal(-90.0, 90.0, 4),
            draw.decimal(-180.0, 180.0, 4)
        )
    }),
    ("numberInt", |draw| integer(draw)),
    ("numberFloat", |draw| float(draw)),
    ("numberBinary", |draw| in_radix(draw, 2, 1)),
    ("numberOctal", |draw| in_radix(draw, 8, 7)),
    ("numberHex", |draw| in_radix(draw, 16, 15)),
    ("numberBigInt", |draw| {
        draw.between(0, 999_999_999_999_999).to_string()
    }),
    ("numberRomanNumeral", |draw| {
        let number = draw.between(1, 3_999);
        roman(number)
    }),
    ("stringFromCharacters", |draw| {
        let alphabet = draw
            .text_option("characters")
            .filter(|text| !text.is_empty());
        let length = draw.length(1);
        draw.letters(alphabet.as_deref().unwrap_or(ALPHANUMERIC), length)
    }),
    ("stringAlpha", |draw| spelled(draw, ALPHA, 1, "")),
    ("stringAlphanumeric", |draw| {
        spelled(draw, ALPHANUMERIC, 1, "")
    }),
    ("stringBinary", |draw| spelled(draw, "01", 1, "0b")),
    ("stringOctal", |draw| spelled(draw, "01234567", 1, "0o")),
    ("stringHexadecimal", |draw| {
        spelled(draw, "0123456789abcdefABCDEF", 1, "0x")
    }),
    ("stringNumeric", |draw| spelled(draw, "0123456789", 1, "")),
    ("stringSample", |draw| spelled(draw, PRINTABLE, 10, "")),
    ("stringUuid", |draw| draw.uuid()),
    ("stringUlid", |draw| ulid(draw)),
    ("stringNanoid", |draw| spelled(draw, NANOID, 21, "")),
    ("stringSymbol", |draw| spelled(draw, SYMBOLS, 1, "")),
    ("airlineAirport", |_| object()),
    ("airlineAirline", |_| object()),
    ("airlineAirplane", |_| object()),
    ("airlineRecordLocator", |draw| draw.letters(UPPER, 6)),
    ("airlineSeat", |draw| {
        format!("{}{}", draw.between(1, 35), draw.letters("ABCDEF", 1))
    }),
    ("airlineAircraftType", |draw| draw.pick(&words::AIRCRAFT)),
    ("airlineFlightNumber", |draw| {
        draw.between(1, 9_999).to_string()
    }),
    ("animalDog", |draw| draw.pick(&words::DOGS)),
    ("animalCat", |draw| draw.pick(&words::CATS)),
    ("animalSnake", |draw| draw.pick(&words::SNAKES)),
    ("animalBear", |draw| draw.pick(&words::BEARS)),
    ("animalLion", |draw| draw.pick(&words::LIONS)),
    ("animalCetacean", |draw| draw.pick(&words::CETACEANS)),
    ("animalHorse", |draw| draw.pick(&words::HORSES)),
    ("animalBird", |draw| draw.pick(&words::BIRDS)),
    ("animalCow", |draw| draw.pick(&words::COWS)),
    ("animalFish", |draw| draw.pick(&words::FISH)),
    ("animalCrocodilia", |draw| draw.pick(&words::CROCODILES)),
    ("animalInsect", |draw| draw.pick(&words::INSECTS)),
    ("animalRabbit", |draw| draw.pick(&words::RABBITS)),
    ("animalRodent", |draw| draw.pick(&words::RODENTS)),
    ("animalType", |draw| draw.pick(&words::ANIMALS)),
    ("animalPetName", |draw| draw.pick(&words::PETS)),
    ("bookAuthor", |draw| draw.pick(&words::AUTHORS)),
    ("bookFormat", |draw| draw.pick(&words::BOOK_FORMATS)),
    ("bookGenre", |draw| draw.pick(&words::BOOK_GENRES)),
    ("bookPublisher", |draw| draw.pick(&words::PUBLISHERS)),
    ("bookSeries", |draw| draw.pick(&words::BOOK_SERIES)),
    ("bookTitle", |draw| draw.pick(&words::BOOK_TITLES)),
    ("colorHuman", |draw| draw.pick(&words::COLORS)),
    ("colorSpace", |draw| draw.pick(&words::COLOR_SPACES)),
    ("colorCssSupportedFunction", |draw| {
        draw.pick(&words::CSS_FUNCTIONS)
    }),
    ("colorCssSupportedSpace", |draw| {
        draw.pick(&words::CSS_SPACES)
    }),
    ("colorRgb", |draw| format!("#{}", draw.hexadecimal(6))),
    ("colorCmyk", |draw| {
        draw.repeat(4, ",", |draw| draw.decimal(0.0, 1.0, 2))
    }),
    ("colorHsl", |draw| hue(draw)),
    ("colorHwb", |draw| hue(draw)),
    ("colorLab", |draw| {
        format!(
            "{},{},{}",
            draw.decimal(0.0, 1.0, 6),
            draw.decimal(-100.0, 100.0, 4),
            draw.decimal(-100.0, 100.0, 4)
        )
    }),
    ("colorLch", |draw| {
        format!(
            "{},{},{}",
            draw.decimal(0.0, 1.0, 6),
            draw.decimal(0.0, 230.0, 1),
            draw.decimal(0.0, 230.0, 1)
        )
    }),
    ("colorColorByCSSColorSpace", |draw| {
        draw.repeat(3, ",", |draw| draw.decimal(0.0, 1.0, 4))
    }),
    ("commerceDepartment", |draw| draw.pick(&words::DEPARTMENTS)),
    ("commerceProductName", |draw| {
        format!(
            "{} {} {}",
            draw.pick(&words::PRODUCT_ADJECTIVES),
            draw.pick(&words::MATERIALS),
            draw.pick(&words::PRODUCTS)
        )
    }),
    ("commercePrice", |draw| {
        let least = draw.number_option("min").unwrap_or(1.0);
        let most = draw.number_option("max").unwrap_or(1_000.0);
        format!("{:.2}", draw.rng.random::<f64>() * (most - least) + least)
    }),
    ("commerceProductAdjective", |draw| {
        draw.pick(&words::PRODUCT_ADJECTIVES)
    }),
    ("commerceProductMaterial", |draw| {
        draw.pick(&words::MATERIALS)
    }),
    ("commerceProduct", |draw| draw.pick(&words::PRODUCTS)),
    ("commerceProductDescription", |draw| {
        format!(
            "{} {} designed with {} for {} performance",
            draw.pick(&words::PRODUCT_ADJECTIVES),
            draw.pick(&words::PRODUCTS),
            draw.pick(&words::MATERIALS),
            draw.pick(&words::ADJECTIVES)
        )
    }),
    ("commerceIsbn", |draw| isbn(draw)),
    ("commerceUpc", |draw| with_mod_10_digit(draw, 11)),
    ("companyName", |draw| {
        company::CompanyName().fake_with_rng(draw.rng)
    }),
    ("companyCatchPhrase", |draw| {
        format!(
            "{} {} {}",
            draw.pick(&words::CATCH_ADJECTIVES),
            draw.pick(&words::CATCH_DESCRIPTORS),
            draw.pick(&words::CATCH_NOUNS)
        )
    }),
    ("companyBuzzPhrase", |draw| {
        format!(
            "{} {} {}",
            draw.pick(&words::BUZZ_VERBS),
            draw.pick(&words::BUZZ_ADJECTIVES),
            draw.pick(&words::BUZZ_NOUNS)
        )
    }),
    ("companyCatchPhraseAdjective", |draw| {
        draw.pick(&words::CATCH_ADJECTIVES)
    }),
    ("companyCatchPhraseDescriptor", |draw| {
        draw.pick(&words::CATCH_DESCRIPTORS)
    }),
    ("companyCatchPhraseNoun", |draw| {
        draw.pick(&words::CATCH_NOUNS)
    }),
    ("companyBuzzAdjective", |draw| {
        draw.pick(&words::BUZZ_ADJECTIVES)
    }),
    ("companyBuzzVerb", |draw| draw.pick(&words::BUZZ_VERBS)),
    ("companyBuzzNoun", |draw| draw.pick(&words::BUZZ_NOUNS)),
    ("databaseColumn", |draw| draw.pick(&words::DB_COLUMNS)),
    ("databaseType", |draw| draw.pick(&words::DB_TYPES)),
    ("databaseCollation", |draw| draw.pick(&words::DB_COLLATIONS)),
    ("databaseEngine", |draw| draw.pick(&words::DB_ENGINES)),
    ("databaseMongodbObjectId", |draw| draw.hexadecimal(24)),
    ("financeAccountNumber", |draw| {
        let length = draw.length(8);
        draw.digits(length)
    }),
    ("financeAccountName", |draw| draw.pick(&words::ACCOUNTS)),
    ("financeRoutingNumber", |draw| routing_number(draw)),
    ("financeAmount", |draw| amount(draw)),
    ("financeTransactionType", |draw| {
        draw.pick(&words::TRANSACTIONS)
    }),
    ("financeCurrency", |_| object()),
    ("financeCurrencyCode", |draw| {
        currency::CurrencyCode().fake_with_rng(draw.rng)
    }),
    ("financeCurrencyName", |draw| {
        currency::CurrencyName().fake_with_rng(draw.rng)
    }),
    ("financeCurrencySymbol", |draw| {
        currency::CurrencySymbol().fake_with_rng(draw.rng)
    }),
    ("financeCurrencyNumericCode", |draw| draw.pattern("###")),
    ("financeBitcoinAddress", |draw| {
        let length = draw.between(25, 33) as usize;
        draw.pick(&["1", "3"]) + &draw.letters(BASE_58, length)
    }),
    ("financeLitecoinAddress", |draw| {
        let length = draw.between(25, 33) as usize;
        draw.pick(&["L", "M", "3"]) + &draw.letters(BASE_58, length)
    }),
    ("financeCreditCardNumber", |draw| card_number(draw)),
    ("financeCreditCardCVV", |draw| draw.digits(3)),
    ("financeCreditCardIssuer", |draw| {
        draw.pick(&words::CARD_ISSUERS)
    }),
    ("financePin", |draw| {
        let length = draw.length(4);
        draw.digits(length)
    }),
    ("financeEthereumAddress", |draw| {
        format!("0x{}", draw.hexadecimal(40))
    }),
    ("financeIban", |draw| iban(draw)),
    ("financeBic", |draw| {
        draw.letters(UPPER, 4)
            + &draw.pick(&words::IBAN_COUNTRIES)
            + &draw.letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 2)
    }),
    ("financeTransactionDescription", |draw| transaction(draw)),
    ("foodAdjective", |draw| draw.pick(&words::FOOD_ADJECTIVES)),
    ("foodDescription", |draw| {
        format!(
            "A {} {} dish of {} with {}, seasoned with {}.",
            draw.pick(&words::FOOD_ADJECTIVES),
            draw.pick(&words::ETHNIC_FOODS),
            draw.pick(&words::MEATS),
            draw.pick(&words::VEGETABLES),
            draw.pick(&words::SPICES)
        )
    }),
    ("foodDish", |draw| draw.pick(&words::DISHES)),
    ("foodEthnicCategory", |draw| draw.pick(&words::ETHNIC_FOODS)),
    ("foodFruit", |draw| draw.pick(&words::FRUITS)),
    ("foodIngredient", |draw| draw.pick(&words::INGREDIENTS)),
    ("foodMeat", |draw| draw.pick(&words::MEATS)),
    ("foodSpice", |draw| draw.pick(&words::SPICES)),
    ("foodVegetable", |draw| draw.pick(&words::VEGETABLES)),
    ("gitBranch", |draw| {
        format!(
            "{}-{}",
            draw.pick(&words::HACKER_NOUNS),
            draw.pick(&words::HACKER_VERBS)
        )
        .replace(' ', "-")
    }),
    ("gitCommitEntry", |draw| {
        let author = draw.full_name();
        format!(
            "commit {}\r\nAuthor: {author} <{}>\r\nDate: {}\r\n\r\n\u{a0}\u{a0}\u{a0}\u{a0}{}\r\n",
            draw.hexadecimal(40),
            draw.email(&words::EMAIL_PROVIDERS),
            commit_date(draw),
            commit_message(draw)
        )
    }),
    ("gitCommitMessage", |draw| commit_message(draw)),
    ("gitCommitDate", |draw| commit_date(draw)),
    ("gitCommitSha", |draw| {
        let length = draw.length(40);
        draw.hexadecimal(length)
    }),
    ("hackerAbbreviation", |draw| {
        draw.pick(&words::HACKER_ABBREVIATIONS)
    }),
    ("hackerAdjective", |draw| {
        draw.pick(&words::HACKER_ADJECTIVES)
    }),
    ("hackerNoun", |draw| draw.pick(&words::HACKER_NOUNS)),
    ("hackerVerb", |draw| draw.pick(&words::HACKER_VERBS)),
    ("hackerIngverb", |draw| draw.pick(&words::HACKER_INGVERBS)),
    ("hackerPhrase", |draw| {
        format!(
            "Try to {} the {} {}, maybe it will {} the {} {}!",
            draw.pick(&words::HACKER_VERBS),
            draw.pick(&words::HACKER_ABBREVIATIONS),
            draw.pick(&words::HACKER_NOUNS),
            draw.pick(&words::HACKER_VERBS),
            draw.pick(&words::HACKER_ADJECTIVES),
            draw.pick(&words::HACKER_NOUNS)
        )
    }),
    ("imageAvatar", |draw| avatar(draw)),
    ("imageAvatarGitHub", |draw| avatar(draw)),
    ("imagePersonPortrait", |draw| {
        format!(
            "https://cdn.jsdelivr.net/gh/faker-js/assets-person-portrait/{}/512/{}.jpg",
            draw.pick(&words::SEXES),
            draw.between(0, 99)
        )
    }),
    ("imageUrl", |draw| picture(draw)),
    ("imageUrlLoremFlickr", |draw| {
        format!(
            "https://loremflickr.com/{}/{}?lock={}",
            draw.between(1, 3_999),
            draw.between(1, 3_999),
            draw.between(0, 9_007_199_254_740_991)
        )
    }),
    ("imageUrlPicsumPhotos", |draw| {
        format!("{}?grayscale&blur={}", picture(draw), draw.between(1, 10))
    }),
    ("imageDataUri", |draw| {
        format!(
            "data:image/svg+xml;charset=UTF-8,%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg%22%20width%3D%22{0}%22%20height%3D%22{0}%22%2F%3E",
            draw.between(1, 3_999)
        )
    }),
    ("internetEmail", |draw| draw.email(&words::EMAIL_PROVIDERS)),
    ("internetExampleEmail", |draw| {
        draw.email(&words::EXAMPLE_PROVIDERS)
    }),
    ("internetUsername", |draw| draw.user_name()),
    ("internetDisplayName", |draw| draw.user_name()),
    ("internetProtocol", |draw| draw.pick(&["http", "https"])),
    ("internetHttpMethod", |draw| draw.pick(&words::HTTP_METHODS)),
    ("internetHttpStatusCode", |draw| {
        draw.pick(&words::HTTP_CODES)
    }),
    ("internetUrl", |draw| {
        let slash = draw.pick(&["", "/"]);
        format!("https://{}{slash}", draw.domain_name())
    }),
    ("internetDomainName", |draw| draw.domain_name()),
    ("internetDomainSuffix", |draw| {
        internet::DomainSuffix().fake_with_rng(draw.rng)
    }),
    ("internetDomainWord", |draw| draw.domain_word()),
    ("internetIp", |draw| {
        if draw.chance(50) {
            ipv4(draw)
        } else {
            ipv6(draw)
        }
    }),
    ("internetIpv4", |draw| ipv4(draw)),
    ("internetIpv6", |draw| ipv6(draw)),
    ("internetPort", |draw| draw.between(0, 65_535).to_string()),
    ("internetUserAgent", |draw| {
        internet::UserAgent().fake_with_rng(draw.rng)
    }),
    ("internetMac", |draw| {
        draw.repeat(6, ":", |draw| draw.hexadecimal(2))
    }),
    ("internetPassword", |draw| {
        let length = draw.length(15);
        draw.letters(PASSWORD, length)
    }),
    ("internetEmoji", |draw| draw.pick(&words::EMOJI)),
    ("internetJwtAlgorithm", |draw| {
        draw.pick(&words::JWT_ALGORITHMS)
    }),
    ("internetJwt", |draw| jwt(draw)),
    ("loremWord", |draw| draw.lorem_word()),
    ("loremWords", |draw| {
        let count = draw.count(3, 3);
        draw.lorem_words(count)
    }),
    ("loremSentence", |draw| {
        let count = draw.count(3, 10);
        capitalised(&draw.lorem_words(count)) + "."
    }),
    ("loremSlug", |draw| {
        let count = draw.count(3, 3);
        draw.repeat(count, "-", Draw::lorem_word)
    }),
    ("loremSentences", |draw| {
        let count = draw.count(2, 6);
        draw.sentences(count, " ")
    }),
    ("loremParagraph", |draw| {
        let count = draw.count(3, 4);
        draw.sentences(count, " ")
    }),
    ("loremParagraphs", |draw| {
        let count = draw.count(3, 3);
        draw.repeat(count, "\n", Draw::paragraph)
    }),
    ("loremText", |draw| {
        let count = draw.between(1, 5) as usize;
        draw.sentences(count, " ")
    }),
    ("loremLines", |draw| {
        let count = draw.count(1, 5);
        draw.sentences(count, "\n")
    }),
    ("musicAlbum", |draw| draw.pick(&words::ALBUMS)),
    ("musicArtist", |draw| draw.pick(&words::ARTISTS)),
    ("musicGenre", |draw| draw.pick(&words::MUSIC_GENRES)),
    ("musicSongName", |draw| draw.pick(&words::SONGS)),
    ("personFirstName", |draw| draw.first_name()),
    ("personLastName", |draw| draw.last_name()),
    ("personMiddleName", |draw| draw.first_name()),
    ("personFullName", |draw| {
        let first = draw
            .text_option("firstName")
            .unwrap_or_else(|| draw.first_name());
        let last = draw
            .text_option("lastName")
            .unwrap_or_else(|| draw.last_name());
        format!("{first} {last}")
    }),
    ("personGender", |draw| draw.pick(&words::GENDERS)),
    ("personSex", |draw| draw.pick(&words::SEXES)),
    ("personSexType", |draw| draw.pick(&words::SEXES)),
    ("personBio", |draw| {
        format!(
            "{}, {}",
            draw.pick(&words::BIO_PARTS),
            draw.pick(&words::BIO_PARTS)
        )
    }),
    ("personPrefix", |draw| draw.pick(&words::NAME_PREFIXES)),
    ("personSuffix", |draw| draw.pick(&words::NAME_SUFFIXES)),
    ("personJobTitle", |draw| {
        format!(
            "{} {} {}",
            draw.pick(&words::JOB_DESCRIPTORS),
            draw.pick(&words::JOB_AREAS),
            draw.pick(&words::JOB_TYPES)
        )
    }),
    ("personJobDescriptor", |draw| {
        draw.pick(&words::JOB_DESCRIPTORS)
    }),
    ("personJobArea", |draw| draw.pick(&words::JOB_AREAS)),
    ("personJobType", |draw| draw.pick(&words::JOB_TYPES)),
    ("personZodiacSign", |draw| draw.pick(&words::ZODIAC)),
    ("phoneNumber", |draw| {
        let shape = draw.pick(&[
            "(!##) !##-####",
            "1-!##-!##-####",
            "!##-!##-####",
            "!##.!##.####",
            "!##-!##-#### x####",
        ]);
        draw.pattern(&shape)
    }),
    ("phoneImei", |draw| draw.pattern("##-######-######-#")),
    ("scienceChemicalElement", |_| object()),
    ("scienceUnit", |_| object()),
    ("systemFileName", |draw| file_name(draw, &words::EXTENSIONS)),
    ("systemCommonFileName", |draw| {
        file_name(draw, &words::COMMON_EXTENSIONS)
    }),
    ("systemMimeType", |draw| draw.pick(&words::MIME_TYPES)),
    ("systemCommonFileType", |draw| {
        draw.pick(&words::COMMON_FILE_KINDS)
    }),
    ("systemCommonFileExt", |draw| {
        draw.pick(&words::COMMON_EXTENSIONS)
    }),
    ("systemFileType", |draw| draw.pick(&words::FILE_KINDS)),
    ("systemFileExt", |draw| draw.pick(&words::EXTENSIONS)),
    ("systemDirectoryPath", |draw| draw.pick(&words::DIRECTORIES)),
    ("systemFilePath", |draw| {
        format!(
            "{}/{}",
            draw.pick(&words::DIRECTORIES),
            file_name(draw, &words::EXTENSIONS)
        )
    }),
    ("systemSemver", |draw| {
        format!(
            "{}.{}.{}",
            draw.between(0, 9),
            draw.between(0, 20),
            draw.between(0, 20)
        )
    }),
    ("systemNetworkInterface", |draw| {
        format!(
            "{}p{}s{}",
            draw.pick(&["en", "wl", "ww"]),
            draw.between(0, 9),
            draw.between(0, 9)
        )
    }),
    ("systemCron", |draw| {
        format!(
            "{} {} {} {} {}",
            draw.between(0, 59),
            draw.between(0, 23),
            draw.between(1, 31),
            draw.between(1, 12),
            draw.pick(&["*", "?", "MON", "FRI"])
        )
    }),
    ("vehicleVehicle", |draw| {
        format!(
            "{} {}",
            draw.pick(&words::MANUFACTURERS),
            draw.pick(&words::MODELS)
        )
    }),
    ("vehicleManufacturer", |draw| {
        draw.pick(&words::MANUFACTURERS)
    }),
    ("vehicleModel", |draw| draw.pick(&words::MODELS)),
    ("vehicleType", |draw| draw.pick(&words::VEHICLE_KINDS)),
    ("vehicleFuel", |draw| draw.pick(&words::FUELS)),
    ("vehicleVin", |draw| {
        draw.letters(VIN, 10) + &draw.letters(UPPER, 1) + &draw.letters(VIN, 1) + &draw.digits(5)
    }),
    ("vehicleColor", |draw| draw.pick(&words::COLORS)),
    ("vehicleVrm", |draw| draw.pattern("??##???")),
    ("vehicleBicycle", |draw| draw.pick(&words::BICYCLES)),
    ("wordAdjective", |draw| draw.pick(&words::ADJECTIVES)),
    ("wordAdverb", |draw| draw.pick(&words::ADVERBS)),
    ("wordConjunction", |draw| draw.pick(&words::CONJUNCTIONS)),
    ("wordInterjection", |draw| draw.pick(&words::INTERJECTIONS)),
    ("wordNoun", |draw| draw.pick(&words::NOUNS)),
    ("wordPreposition", |draw| draw.pick(&words::PREPOSITIONS)),
    ("wordVerb", |draw| draw.pick(&words::VERBS)),
    ("wordSample", |draw| word(draw)),
    ("wordWords", |draw| {
        let count = draw.count(1, 3);
        draw.repeat(count, " ", word)
    }),
];

/// What JavaScript prints for functions that give objects.
fn object() -> String {
    "[object Object]".to_owned()
}

/// A date up to so many years or days away, as the option of that name says.
fn dated(draw: &mut Draw<'_>, unit: &str, default_days: i64) -> String {
    let unit_days = if unit == "years" { 365.0 } else { 1.0 };
    let days = draw
        .number_option(unit)
        .map_or(default_days.abs(), |amount| {
            (amount.clamp(0.0, 10_000.0) * unit_days) as i64
        });
    if default_days < 0 {
        draw.date(-days, 0)
    } else {
        draw.date(0, days)
    }
}

/// A date between the years of the options `from` and `to`; of the last year when they say nothing.
fn date_between(draw: &mut Draw<'_>) -> String {
    let now = Moment::from_unix_ms(draw.now_ms);
    let year = |draw: &Draw<'_>, option: &str, default: i64| {
        let text = draw.text_option(option).unwrap_or_default();
        text.get(..4)
            .and_then(|year| year.parse().ok())
            .unwrap_or(default)
    };
    let from = (year(draw, "from", now.year - 1) - now.year) * 365;
    let to = (year(draw, "to", now.year) - now.year) * 365;
    draw.date(from.clamp(-800_000, 800_000), to.clamp(-800_000, 800_000))
}

fn street(draw: &mut Draw<'_>) -> String {
    format!("{} {}", draw.last_name(), draw.pick(&words::STREETS))
}

fn street_address(draw: &mut Draw<'_>) -> String {
    format!("{} {}", draw.between(100, 99_999), street(draw))
}

fn postal_address(draw: &mut Draw<'_>) -> String {
    let city: String = address::CityName().fake_with_rng(draw.rng);
    let state: String = address::StateName().fake_with_rng(draw.rng);
    format!(
        "{}\n{city}\n{state}\n{}",
        street_address(draw),
        draw.pattern("#####")
    )
}

fn bounded(draw: &mut Draw<'_>, least: f64, most: f64, decimals: usize) -> String {
    let least = draw.number_option("min").unwrap_or(least);
    let most = draw.number_option("max").unwrap_or(most);
    draw.decimal(least, most, decimals)
}

/// A whole number up to `max` (or the options themselves), from `min`.
fn integer(draw: &mut Draw<'_>) -> String {
    let most = draw
        .number_option("max")
        .or(draw.options.as_f64())
        .unwrap_or(9_007_199_254_740_991.0);
    let least = draw.number_option("min").unwrap_or(0.0);
    draw.between(least as i64, most as i64).to_string()
}

fn float(draw: &mut Draw<'_>) -> String {
    let most = draw
        .number_option("max")
        .or(draw.options.as_f64())
        .unwrap_or(1.0);
    let least = draw.number_option("min").unwrap_or(0.0);
    match draw.number_option("fractionDigits") {
        Some(decimals) => draw.decimal(least, most, decimals.clamp(0.0, 15.0) as usize),
        None => javascript::float_text(least + draw.rng.random::<f64>() * (most - least)),
    }
}

fn in_radix(draw: &mut Draw<'_>, radix: u32, default_most: i64) -> String {
    let most = draw
        .number_option("max")
        .or(draw.options.as_f64())
        .map_or(default_most, |most| most as i64);
    let mut number = draw.between(0, most);
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((number % i64::from(radix)) as u32, radix));
        number /= i64::from(radix);
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn roman(mut number: i64) -> String {
    const STEPS: [(i64, &str); 13] = [
        (1_000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut text = String::new();
    for (value, letters) in STEPS {
        while number >= value {
            text += letters;
            number -= value;
        }
    }
    text
}

/// So many letters as the options say, after a prefix.
fn spelled(draw: &mut Draw<'_>, alphabet: &str, default_length: usize, prefix: &str) -> String {
    let length = draw.length(default_length);
    format!("{prefix}{}", draw.letters(alphabet, length))
}

/// Time in 10 letters, chance in 16.
fn ulid(draw: &mut Draw<'_>) -> String {
    let alphabet: Vec<char> = CROCKFORD.chars().collect();
    let time: String = (0..10)
        .rev()
        .map(|place| alphabet[(draw.now_ms >> (place * 5) & 31) as usize])
        .collect();
    time + &draw.letters(CROCKFORD, 16)
}

fn hue(draw: &mut Draw<'_>) -> String {
    format!(
        "{},{},{}",
        draw.between(0, 360),
        draw.decimal(0.0, 1.0, 2),
        draw.decimal(0.0, 1.0, 2)
    )
}

/// Digits and the one that makes their sum, every second one three times, a multiple of 10.
fn with_mod_10_digit(draw: &mut Draw<'_>, length: usize) -> String {
    let digits = draw.digits(length);
    let sum: u32 = digits
        .chars()
        .rev()
        .enumerate()
        .map(|(place, digit)| digit.to_digit(10).unwrap_or(0) * if place % 2 == 0 { 3 } else { 1 })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn isbn(draw: &mut Draw<'_>) -> String {
    let body = format!("978{}", draw.digits(9));
    let sum: u32 = body
        .chars()
        .enumerate()
        .map(|(place, digit)| digit.to_digit(10).unwrap_or(0) * if place % 2 == 1 { 3 } else { 1 })
        .sum();
    format!(
        "978-{}-{}-{}-{}",
        &body[3..4],
        &body[4..8],
        &body[8..12],
        (10 - sum % 10) % 10
    )
}

/// Nine digits whose sum by 3, 7 and 1 in turns is a multiple of 10.
fn routing_number(draw: &mut Draw<'_>) -> String {
    let digits = draw.digits(8);
    let weights = [3, 7, 1].into_iter().cycle();
    let sum: u32 = digits
        .chars()
        .zip(weights)
        .map(|(digit, weight)| digit.to_digit(10).unwrap_or(0) * weight)
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn amount(draw: &mut Draw<'_>) -> String {
    let least = draw.number_option("min").unwrap_or(0.0);
    let most = draw.number_option("max").unwrap_or(1_000.0);
    let decimals = draw.number_option("dec").unwrap_or(2.0).clamp(0.0, 15.0) as usize;
    let symbol = draw.text_option("symbol").unwrap_or_default();
    let number = least + draw.rng.random::<f64>() * (most - least);
    format!("{symbol}{number:.decimals$}")
}

/// A number with the check digit of Luhn.
fn card_number(draw: &mut Draw<'_>) -> String {
    let body = draw.pattern("4###-####-####-###");
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = body
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            if place % 2 == 0 {
                doubled(digit)
            } else {
                digit
            }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// An account number with the check digits of ISO 7064.
fn iban(draw: &mut Draw<'_>) -> String {
    let country = draw.pick(&words::IBAN_COUNTRIES);
    let account = draw.digits(18);
    let remainder = format!("{account}{country}00")
        .chars()
        .filter_map(|letter| letter.to_digit(36))
        .fold(0, |rest, value| {
            if value > 9 {
                (rest * 100 + value) % 97
            } else {
                (rest * 10 + value) % 97
            }
        });
    format!("{country}{:02}{account}", 98 - remainder)
}

fn transaction(draw: &mut Draw<'_>) -> String {
    let company: String = company::CompanyName().fake_with_rng(draw.rng);
    let code: String = currency::CurrencyCode().fake_with_rng(draw.rng);
    format!(
        "{} of {code} {} at {company} using card ending in ****{}",
        draw.pick(&words::TRANSACTIONS),
        draw.decimal(1.0, 1_000.0, 2),
        draw.digits(4)
    )
}

fn commit_message(draw: &mut Draw<'_>) -> String {
    format!(
        "{} {} {}",
        draw.pick(&words::HACKER_VERBS),
        draw.pick(&words::HACKER_ADJECTIVES),
        draw.pick(&words::HACKER_NOUNS)
    )
}

/// `Sat Nov 21 17:47:54 2026 +0000`.
fn commit_date(draw: &mut Draw<'_>) -> String {
    let date = draw.date(-1, 0);
    let parts: Vec<&str> = date.split(' ').collect();
    match parts.as_slice() {
        [weekday, month, day, year, clock, ..] => {
            format!("{weekday} {month} {day} {clock} {year} +0000")
        }
        _ => date,
    }
}

fn avatar(draw: &mut Draw<'_>) -> String {
    format!(
        "https://avatars.githubusercontent.com/u/{}",
        draw.between(0, 100_000_000)
    )
}

fn picture(draw: &mut Draw<'_>) -> String {
    let seed = draw.letters(ALPHANUMERIC, 8);
    format!(
        "https://picsum.photos/seed/{seed}/{}/{}",
        draw.between(1, 3_999),
        draw.between(1, 3_999)
    )
}

fn ipv4(draw: &mut Draw<'_>) -> String {
    draw.repeat(4, ".", |draw| draw.between(0, 255).to_string())
}

fn ipv6(draw: &mut Draw<'_>) -> String {
    draw.repeat(8, ":", |draw| draw.hexadecimal(4))
}

/// Three parts of the right alphabet; nothing is signed.
fn jwt(draw: &mut Draw<'_>) -> String {
    let (header, payload) = (draw.letters(NANOID, 33), draw.letters(NANOID, 120));
    format!("eyJ{header}.eyJ{payload}.{}", draw.letters(NANOID, 64))
}

fn file_name(draw: &mut Draw<'_>, extensions: &[&str]) -> String {
    format!(
        "{}_{}.{}",
        draw.pick(&words::ADJECTIVES),
        draw.pick(&words::NOUNS),
        draw.pick(extensions)
    )
}

fn word(draw: &mut Draw<'_>) -> String {
    match draw.between(0, 3) {
        0 => draw.pick(&words::ADJECTIVES),
        1 => draw.pick(&words::ADVERBS),
        2 => draw.pick(&words::VERBS),
        _ => draw.pick(&words::NOUNS),
    }
}
